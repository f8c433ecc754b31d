"""Terms whose numbers are kept once they were read: many sums over the same deltas decode each delta once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deltakit.delta.expression import Delta, Entry
from deltakit.delta.open import Model, applied
from deltakit.delta.terms.base import Float32, Term
from deltakit.tensors import TensorSpec

__all__ = ["Kept", "keeping"]

_FLOAT = 4


class Kept(Term):
    """Another term, all of whose rows are computed at the first asking and held as float32. Never stored."""

    kind = "kept"

    def __init__(self, term: Term) -> None:
        self._term, self.spec = term, term.spec
        self._whole: Float32 | None = None

    def rows(self, lo: int, hi: int) -> Float32:
        if self._whole is None:
            self._whole = self._term.rows(0, self.spec.rows)
            self._whole.flags.writeable = False  # sums are made in place, of copies
        return self._whole[lo:hi]

    def save(self) -> tuple[dict[str, Any], bytes]:
        return self._term.save()

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Term:
        raise TypeError("what is kept in memory is never loaded")


def keeping(models: Sequence[Model], budget: int) -> list[Model]:
    """The same models, those terms that several of them hold being kept as long as any model lives: at most `budget`
    bytes of them, those first that are named first. Lone exact terms of coefficient 1 give bits and are left alone.

    The terms must be the same objects, as `open_model(..., shared=...)` makes them.
    """
    uses = Counter(id(term) for model in models for term in _summed(model))
    kept: dict[int, Kept] = {}
    for model in models:
        for term in _summed(model):
            size = term.spec.numel * _FLOAT
            if uses[id(term)] > 1 and id(term) not in kept and size <= budget:
                kept[id(term)] = Kept(term)
                budget -= size
    return [_with(model, kept) for model in models] if kept else list(models)


def _summed(model: Model) -> list[Term]:
    """The terms of a sum that are read as numbers, in the order of names."""
    entries = model.delta.entries.values() if model.delta is not None else ()
    return [part.term for entry in entries if entry.bits is None for part in entry.parts]


def _with(model: Model, kept: dict[int, Kept]) -> Model:
    if model.base is None or model.delta is None:
        return model

    def change(name: str, entry: Entry) -> Entry:
        if entry.bits is not None:
            return entry
        return replace(entry, parts=tuple(replace(p, term=kept.get(id(p.term), p.term)) for p in entry.parts))

    delta: Delta = model.delta.map(change)
    return replace(applied(model.base, delta, model.source), sidecar=model.sidecar)
