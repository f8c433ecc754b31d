"""Several models measured on the same work: station by station, first asked in one queue, then scored through lm-eval.

Everything that is found is kept under a key of all that it depends on; what is kept is not measured again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
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
from deltakit_eval.programs import Programs
from deltakit_eval.queue import Job, fill
from deltakit_eval.remembered import Seat
from deltakit_eval.results import plain, short_name, task_result
from deltakit_eval.size import stored_bytes
from deltakit_eval.stations import Station, stations
from deltakit_eval.tasks import wants_chat
from deltakit_eval.tasks.tested import running, runs_programs
from deltakit_eval.work import LOSS, Work

__all__ = ["SCORING", "measure", "size_of"]

Done = Callable[[int], None]
SCORING = ("lm_eval", "math-verify", "sympy")  # libraries that scores depend on, and answers do not
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
        """Under this its answers are kept: identity, dtype, device, versions of what decodes."""
        return digest(self.about)

    def record(self) -> dict[str, Any]:
        """As it stands in the results."""
        tasks = {short_name(name): found for name, found in self.found.items() if name != LOSS}
        about = {k: self.about[k] for k in ("identity", "dtype", "device", "backend")}
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
    host = Host(device=s.device, dtype=s.dtype, batch_tokens=s.batch_tokens or 0, max_rows=s.max_rows)
    decoding = {library: found for library, found in versions.items() if library not in SCORING}
    subjects = [_subject(name, model, host, s.backend, decoding) for name, model in models]
    progress.start("evaluating", len(models) * work.items, "answers")
    try:
        with Programs(answers, s.execution) as programs, running(programs):
            identities = {name: digest([found, versions]) for name, found in work.identities().items()}
            session = _Session(work, identities, answers, programs, progress)
            for subject in subjects:
                session.recall(subject)
            left = {subject.name: subject for subject in subjects if len(subject.found) < len(work.names)}
            keys = {name: subject.key for name, subject in left.items()}
            if any(runs_programs(task) for name, task in work.tasks.items() if _lacks(left, name)):
                programs.open()
            for station in stations(models, keys, host, answers, s.place, work.items, s.backend):
                session.serve(station, [left[name] for name in station.seats])
    finally:
        progress.stop()
    return [subject.record() for subject in subjects]


def _lacks(subjects: Mapping[str, _Subject], task: str) -> bool:
    """Is there a model that a task is still to be measured on?"""
    return any(task not in subject.found for subject in subjects.values())


def size_of(model: Model) -> dict[str, int | None]:
    """`bytes` on disk beyond the base (None: computed from a recipe), `model_bytes` of the whole weights."""
    whole = sum(spec.nbytes for spec in model.tensors.specs.values())
    return {"bytes": stored_bytes(model.source), "model_bytes": whole}


def _subject(name: str, model: Model, host: Host, backend: str, versions: Mapping[str, str]) -> _Subject:
    with blamed(name):
        known = {"identity": identity(model), "dtype": host.dtype_of(model)}
    about = {**known, "device": host.device, "backend": backend, "versions": dict(versions)}
    return _Subject(name, model, about)


@dataclass(frozen=True)
class _Session:
    """What all stations share. `identities`: of each task, what its numbers depend on."""

    work: Work
    identities: Mapping[str, str]
    answers: Answers
    programs: Programs
    progress: Progress

    def recall(self, subject: _Subject) -> None:
        """What earlier runs measured of this model."""
        for name in self.work.names:
            kept = self.answers.get(self._key(subject, name))
            if kept is not None:
                subject.found[name], subject.content, subject.place = kept["found"], kept["content"], kept["place"]
                self.progress.advance(self.work.size(name), subject.name)

    def serve(self, station: Station, subjects: Sequence[_Subject]) -> None:
        """Ask everything, then score every model on every task that is left."""
        began = time.monotonic()
        todo = [(subject, name) for subject in subjects for name in self.work.names if name not in subject.found]
        named = ", ".join(subject.name for subject in subjects)
        with blamed(named):
            self._ask(station, [(subject, name) for subject, name in todo if name != LOSS], self._told(named))
        for subject, name in todo:
            with blamed(subject.name):
                found = self._score(name, station.seats[subject.name], self._told(subject.name))
            subject.found[name], subject.content, subject.place = (
                found,
                station.content.get(subject.name),
                station.place,
            )
            kept = {"found": found, "content": subject.content, "place": subject.place}
            self.answers.put(self._key(subject, name), kept)
        for subject in subjects:
            subject.seconds = time.monotonic() - began

    def _key(self, subject: _Subject, name: str) -> str:
        return digest(["measured", subject.key, self.identities[name]])

    def _told(self, who: str) -> Done:
        return lambda items: self.progress.advance(items, who)

    def _ask(self, station: Station, todo: Sequence[tuple[_Subject, str]], done: Done) -> None:
        jobs = []
        for subject, name in todo:
            seat = station.seats[subject.name]
            jobs.append(Job(self._lm(seat), seat.tenant, self.work.tasks[name], self.work.settings))
        fill(jobs, station.backend, self.programs, done)

    def _score(self, name: str, seat: Seat, done: Done) -> dict[str, Any]:
        """One model on one task; what is generated is known by now, likelihoods are not."""
        if name == LOSS:
            return held_out_loss(seat, self.work.records, self.work.settings.style or "alpaca", done)
        generates = self.work.tasks[name].OUTPUT_TYPE == "generate_until"
        found = _one(name, self._lm(seat, None if generates else done), self.work)
        isolated = self.programs.about() if runs_programs(self.work.tasks[name]) else None
        return {**found, "sandbox": isolated} if isolated else found

    def _lm(self, seat: Seat, done: Done | None = None) -> DeltakitLM:
        s = self.work.settings
        return DeltakitLM(seat, seed=s.seed, max_new_tokens=s.max_new_tokens, run=self.programs, done=done)


@contextmanager
def _in_this_process() -> Iterator[None]:
    """lm-eval's bootstrap forks a pool, which may hang beside threads, and prints to stdout: here it
    does neither, what it prints goes where progress goes."""
    before = os.environ.get("DISABLE_MULTIPROC")
    os.environ["DISABLE_MULTIPROC"] = "1"
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if before is None:
            del os.environ["DISABLE_MULTIPROC"]
        else:
            os.environ["DISABLE_MULTIPROC"] = before


def _one(name: str, lm: DeltakitLM, work: Work) -> dict[str, Any]:
    """One model on one task, through lm-eval's evaluator."""
    from lm_eval import evaluator

    s, began = work.settings, time.monotonic()
    chat = s.chat_template or wants_chat(name)
    with _in_this_process():
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
    return {**plain(task_result(name, found, chat)), **lm.endings.shares(), "seconds": seconds}
