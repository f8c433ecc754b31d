"""A delta sparsified into a new delta, whose terms hold the kept elements alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deltakit.delta.expression import Delta, Entries, Entry, Part
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import NoEffectError, NonFiniteError
from deltakit.sparsify.drop import Drop, mask_key
from deltakit.sparsify.flow import Flow, Pull, Transform, flow_of, through
from deltakit.sparsify.pipeline import check_drops, spell_pipeline
from deltakit.sparsify.pulled import Pulled

__all__ = ["prepare", "sparsify"]


def sparsify(delta: Delta, steps: Sequence[Transform], *, seed: int = 42, name: str = "") -> Delta:
    """Every float tensor's shared rows through `steps`. `delta` is bound to its base.

    `name` keys the random masks (default: the delta's own name, else the fingerprint of the tuned model); it and the
    seed are recorded. After a lone drop the mask is seeded and costs no bytes, else it is a bitmap. Rows that the base
    lacks and integer tensors stay exact. Nothing is computed until something reads. Raises NoEffectError where no step
    does anything.
    """
    return prepare(delta, steps, seed=seed, name=name)[0]


def prepare(delta: Delta, steps: Sequence[Transform], *, seed: int = 42, name: str = "") -> tuple[Delta, Flow]:
    """The delta of `sparsify`, and the flow behind it, whose passes may be run ahead."""
    check_drops(steps)
    working = [s for s in steps if not s.idle]
    if not working:
        raise NoEffectError("every step keeps everything (density 1)", remedy="give a density below 1")
    model = name or delta.lineage.key
    start = flow_of(delta, model=model, seed=seed)
    end = through(start, working)
    made = _Sparsified(start, end, working)
    note: dict[str, Any] = {"each": spell_pipeline(steps), "seed": seed, "model": model, "of": dict(delta.lineage.note)}
    lineage = replace(delta.lineage, name=name or delta.lineage.name, note={"sparsify": note})
    entries = Entries(delta.specs, lambda n: made.entry(n, delta.entries[n]))
    return replace(delta, entries=entries, lineage=lineage), end


class _Sparsified:
    """Makes the entries of a sparsified delta."""

    def __init__(self, start: Flow, end: Flow, steps: Sequence[Transform]) -> None:
        self._start, self._end = start, end
        self._lone = steps[0] if len(steps) == 1 and isinstance(steps[0], Drop) else None

    def entry(self, name: str, entry: Entry) -> Entry:
        if not entry.parts or not entry.spec.is_float:
            return entry
        term = Pulled(entry.shared_spec, name, self._pull, lambda: self._stored(name))
        return replace(entry, parts=(Part(1.0, term),))

    def _pull(self, name: str, lo: int, hi: int) -> Float32:
        return _finite(self._end.pull, name, lo, hi)

    def _stored(self, name: str) -> Sparse:
        spec = self._end.specs[name]
        if self._lone is None:
            return Sparse.nonzero(lambda lo, hi: self._pull(name, lo, hi), spec)
        key, drop = mask_key(self._start, name), self._lone
        return Sparse.seeded(
            lambda lo, hi: _finite(self._start.pull, name, lo, hi), spec, key, drop.density, drop.factor
        )


def _finite(pull: Pull, name: str, lo: int, hi: int) -> Float32:
    with np.errstate(over="ignore", invalid="ignore"):
        values = pull(name, lo, hi)
    if not np.isfinite(values).all():
        raise NonFiniteError(f"tensor {name!r}: the delta holds values that are not finite", remedy="check both models")
    return values
