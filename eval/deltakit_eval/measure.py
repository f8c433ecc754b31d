"""Several models measured on the same work: station by station, first asked in one queue, then scored through lm-eval.

Everything that is found is kept under a key of all that it depends on; what is kept is not measured again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from deltakit.checkpoint import Progress
from deltakit.delta.open import Model
from deltakit.generate import Host
from deltakit.manifest import digest
from deltakit_eval.answers import Answers
from deltakit_eval.identity import identity
from deltakit_eval.loss import held_out_loss
from deltakit_eval.model import DeltakitLM
from deltakit_eval.named import blamed
from deltakit_eval.queue import Job, fill
from deltakit_eval.remembered import Seat
from deltakit_eval.results import plain, short_name, task_result
from deltakit_eval.size import stored_bytes
from deltakit_eval.stations import Station, stations
from deltakit_eval.tasks import wants_chat
from deltakit_eval.work import LOSS, Work

__all__ = ["measure", "size_of"]

_DRAWS = 100  # bootstrap draws, for metrics whose standard error has no formula; means have one


@dataclass
class _Subject:
    """A model and what is known of it: `about` its numeric set-up, `found` its results by task."""

    name: str
    model: Model
    about: dict[str, Any]
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    content: str | None = None
    place: str | None = None
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """Under this its answers are kept: identity, dtype, device, versions."""
        return digest(self.about)

    def record(self) -> dict[str, Any]:
        """As it stands in the results."""
        tasks = {short_name(name): found for name, found in self.found.items() if name != LOSS}
        about = {k: self.about[k] for k in ("identity", "dtype", "device")}
        return {
            "name": self.name, **size_of(self.model), "model": self.model.source, "content": self.content, **about,
            "place": self.place, "tasks": tasks, "loss": self.found.get(LOSS), "seconds": round(self.seconds, 3),
        }  # fmt: skip


def measure(
    models: Sequence[tuple[str, Model]], work: Work, answers: Answers, versions: Mapping[str, str], progress: Progress
) -> list[dict[str, Any]]:
    """One record per model, in order. `place`: "swap" or "mixed"; `seconds` are the station's, which models of one
    batch share (0: all was known). An error names the model it came with."""
    s = work.settings
    host = Host(device=s.device, dtype=s.dtype, batch_tokens=s.batch_tokens, max_rows=s.max_rows)
    identities = work.identities()
    subjects = [_subject(name, model, host, versions) for name, model in models]
    progress.start("evaluating", len(models) * work.items, "answers")
    try:
        for subject in subjects:
            _recall(subject, work, identities, answers, progress)
        left = [subject for subject in subjects if len(subject.found) < len(work.names)]
        keys = {subject.name: subject.key for subject in left}
        by_name = {subject.name: subject for subject in left}
        for station in stations(models, keys, host, answers, s.place, work.items):
            _serve(station, [by_name[name] for name in station.seats], work, identities, answers, progress)
    finally:
        progress.stop()
    return [subject.record() for subject in subjects]


def size_of(model: Model) -> dict[str, int | None]:
    """`bytes` on disk beyond the base (None: computed from a recipe), `model_bytes` of the whole weights."""
    whole = sum(spec.nbytes for spec in model.tensors.specs.values())
    return {"bytes": stored_bytes(model.source), "model_bytes": whole}


def _subject(name: str, model: Model, host: Host, versions: Mapping[str, str]) -> _Subject:
    with blamed(name):
        known = {"identity": identity(model), "dtype": host.dtype_of(model)}
    about = {**known, "device": host.device, "versions": dict(versions)}
    return _Subject(name, model, about)


def _recall(subject: _Subject, work: Work, identities: Mapping[str, Any], answers: Answers, progress: Progress) -> None:
    """What earlier runs measured of this model."""
    for name in work.names:
        kept = answers.get(_measured(subject, identities[name]))
        if kept is not None:
            subject.found[name], subject.content, subject.place = kept["found"], kept["content"], kept["place"]
            progress.advance(work.size(name), subject.name)


def _measured(subject: _Subject, identity: Any) -> str:
    return digest(["measured", subject.key, identity])


def _serve(
    station: Station,
    subjects: Sequence[_Subject],
    work: Work,
    identities: Mapping[str, Any],
    answers: Answers,
    progress: Progress,
) -> None:
    """Ask everything, then score every model on every task that is left."""
    began = time.monotonic()
    todo = [(subject, name) for subject in subjects for name in work.names if name not in subject.found]
    named = ", ".join(subject.name for subject in subjects)
    asked = [(subject, name) for subject, name in todo if name != LOSS]
    with blamed(named):
        _fill(station, asked, work, partial(_advance, progress, named))
    for subject, name in todo:
        with blamed(subject.name):
            found = _one(name, station.seats[subject.name], work, partial(_advance, progress, subject.name))
        subject.found[name], subject.content, subject.place = found, station.content.get(subject.name), station.place
        kept = {"found": found, "content": subject.content, "place": subject.place}
        answers.put(_measured(subject, identities[name]), kept)
    for subject in subjects:
        subject.seconds = time.monotonic() - began


def _fill(station: Station, todo: Sequence[tuple[_Subject, str]], work: Work, done: Any) -> None:
    jobs = [
        Job(_lm(station.seats[subject.name], work), station.seats[subject.name].tenant, work.tasks[name], work.settings)
        for subject, name in todo
    ]
    fill(jobs, station.backend, None, done)


def _lm(seat: Seat, work: Work, done: Any = None) -> DeltakitLM:
    return DeltakitLM(seat, seed=work.settings.seed, max_new_tokens=work.settings.max_new_tokens, done=done)


def _advance(progress: Progress, who: str, items: int) -> None:
    progress.advance(items, who)


def _one(name: str, seat: Seat, work: Work, done: Any) -> dict[str, Any]:
    """One model on one task, through lm-eval's evaluator; generated answers are known by now."""
    if name == LOSS:
        return held_out_loss(seat, work.records, work.settings.style or "alpaca", done)
    from lm_eval import evaluator

    s, began = work.settings, time.monotonic()
    generates = work.tasks[name].OUTPUT_TYPE == "generate_until"
    chat = s.chat_template or wants_chat(name)
    lm = _lm(seat, work, None if generates else done)
    found = evaluator.evaluate(
        lm,
        {"tasks": {name: work.tasks[name]}},
        limit=s.limit,
        bootstrap_iters=_DRAWS,
        log_samples=True,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )
    seconds = round(time.monotonic() - began, 3)
    return {**plain(task_result(name, found)), **lm.endings.shares(), "seconds": seconds}
