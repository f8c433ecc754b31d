"""Where models are asked: each alone in memory, the next written over it (swap), or all of one base in one batch
(mixed). Never a checkpoint on disk."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.delta.kept import keeping
from deltakit.delta.open import Model
from deltakit.generate import Engine, Host
from deltakit.generate.company import companies, resident_engine
from deltakit.generate.forecast import free_memory
from deltakit.generate.stops import eos_ids
from deltakit.manifest import digest
from deltakit.runtime.memory import ran_out
from deltakit_eval.answers import Answers
from deltakit_eval.backends import served
from deltakit_eval.named import blamed
from deltakit_eval.remembered import Remembered, Seat

__all__ = ["Station", "stations"]

_LOG = logging.getLogger("deltakit")
# Answers of a model up to which the extra products of a mixed batch take less time than writing its weights, whatever
# its size: see bench/results/many_models.md.
_FEW = 8


@dataclass(frozen=True)
class Station:
    """Models that can be asked at one time. `seats` by name; `place` is "swap" or "mixed"; `content` by name is the
    digest of a model's whole weights, where they are in memory as such."""

    place: str
    backend: Remembered
    seats: Mapping[str, Seat]
    content: Mapping[str, str]
    memory: Mapping[str, Any] | None = None


def stations(
    models: Sequence[tuple[str, Model]],
    keys: Mapping[str, str],
    host: Host,
    answers: Answers,
    place: str,
    rows: int,
    backend: str = "deltakit",
) -> Iterator[Station]:
    """One after the other; a station is gone when the next is asked for. `keys`, by name those who are asked: see
    `Remembered`; `rows` is how many answers each model has to give: "auto" mixes those of one base where these are few.

    Other backends than ours serve one model at a time. Where a model sits is decided by all `models`, so that a run
    that goes on computes as it began.
    """
    for whole in _companies(models):
        alone = [pair for pair in whole if pair[0] in keys]
        peers = _peers(whole, host)
        beside = [pair for pair in alone if pair[0] in peers]
        ours = backend == "deltakit" and len(peers) > 1
        if beside and ours and (place == "mixed" or (place == "auto" and rows <= _FEW)):
            made = _mixed_if_it_fits(beside, keys, host, answers)
            if made is not None:
                yield made[0]
                apart = {name for name, _ in made[1]}
                alone = [(name, model) for name, model in alone if name in apart or name not in peers]
            del made
            gc.collect()  # base and tenants hold each other, and the next model needs the room
        for name, model in _kept(alone):
            yield _swapped(name, model, keys, host, answers, backend)


def _kept(pairs: Sequence[tuple[str, Model]]) -> list[tuple[str, Model]]:
    """Deltas that several of these sum are decoded once, as far as a quarter of the free memory holds them."""
    models = keeping([model for _, model in pairs], free_memory("cpu") // 4)
    return [(name, model) for (name, _), model in zip(pairs, models, strict=True)]


def _companies(models: Sequence[tuple[str, Model]]) -> list[list[tuple[str, Model]]]:
    """Models over one base together; several of one source stay apart."""
    by_source: dict[str, list[tuple[str, Model]]] = {}
    for name, model in models:
        by_source.setdefault(model.source, []).append((name, model))
    return [[pair for source in group for pair in by_source[source]] for group in companies(list(by_source))]


def _peers(company: Sequence[tuple[str, Model]], host: Host) -> set[str]:
    """The names of those that are computed in the first one's dtype: one batch has one."""
    dtypes = {name: host.dtype_of(model) for name, model in company}
    return {name for name, dtype in dtypes.items() if dtype == dtypes[company[0][0]]}


def _mixed_if_it_fits(
    company: Sequence[tuple[str, Model]], keys: Mapping[str, str], host: Host, answers: Answers
) -> tuple[Station, list[tuple[str, Model]]] | None:
    """As `_mixed`; None, with a warning, where memory does not hold the base and all its tenants."""
    try:
        return _mixed(company, keys, host, answers)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        names = ", ".join(name for name, _ in company)
        _LOG.warning("memory does not hold %s beside each other: they are asked one after the other", names)
        return None


def _mixed(
    company: Sequence[tuple[str, Model]], keys: Mapping[str, str], host: Host, answers: Answers
) -> tuple[Station, list[tuple[str, Model]]]:
    """A station of all that can sit beside each other, and those that cannot."""
    sources = list(dict.fromkeys(model.source for _, model in company))
    engine, tenants, alone = resident_engine(sources, host.device, host.dtype_of(company[0][1]), "fast", host.limits)
    seated = [(name, model) for name, model in company if model.source in tenants]
    # a sum over resident terms is never rounded to the stored dtype, as a model's own weights are: other answers
    marked = {tenants[model.source]: digest([keys[name], "mixed"]) for name, model in seated}
    backend = Remembered(engine, answers, marked)
    seats = {name: _seat(backend, engine, tenants[model.source], model) for name, model in seated}
    memory = engine.resident.memory() if engine.resident is not None else None
    return Station("mixed", backend, seats, {}, memory), [pair for pair in company if pair[1].source in alone]


def _swapped(name: str, model: Model, keys: Mapping[str, str], host: Host, answers: Answers, backend: str) -> Station:
    with blamed(name):
        inner, content = served(model, host, backend)
    remembered = Remembered(inner, answers, {None: keys[name]})
    return Station("swap", remembered, {name: Seat(remembered, None, inner.eos)}, {name: content} if content else {})


def _seat(backend: Remembered, engine: Engine, tenant: str | None, model: Model) -> Seat:
    return Seat(backend, tenant, eos_ids(engine.tokenizer_of(tenant), model.sidecar))
