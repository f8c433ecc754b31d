"""References into open checkpoints: nothing is stored, everything is read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32, Term, base_floats
from deltakit.delta.terms.copy import Copy
from deltakit.delta.terms.lossless import kept, lossless
from deltakit.delta.terms.raw import Raw
from deltakit.delta.terms.tied import Tied
from deltakit.errors import DeltakitError
from deltakit.tensors import TensorMap, TensorSpec, to_float32

__all__ = ["Ref", "Rest"]


@dataclass(frozen=True)
class Ref(Term):
    """tuned[name] - base[name] over the shared rows; `bits` gives the tuned bytes themselves."""

    kind: ClassVar[str] = "ref"
    spec: TensorSpec
    name: str
    base: TensorMap
    tuned: TensorMap

    def rows(self, lo: int, hi: int) -> Float32:
        tuned = to_float32(self.bits(lo, hi), self.spec.dtype).reshape(hi - lo, self.spec.row_size)
        return np.subtract(tuned, base_floats(self.base, self.name, lo, hi, self.spec.dtype), out=tuned)

    def bits(self, lo: int, hi: int) -> memoryview:
        """The tuned bytes of rows lo..hi."""
        return self.tuned.buffer(self.name, lo, hi)

    def solid(self) -> Tied:
        """The same difference as a term that can be stored, the smallest that is lossless."""
        return lossless(self.base, self.tuned, self.name, self.spec)

    @property
    def nbytes(self) -> int:
        return 0

    def save(self) -> tuple[dict[str, Any], bytes]:
        return self.solid().save()

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Term:
        raise DeltakitError("a reference is never stored", remedy="report this file")


@dataclass(frozen=True)
class Rest(Term):
    """The rows from `start` on of a tuned tensor, which its base lacks; `rows` gives values, not a difference."""

    kind: ClassVar[str] = "rest"
    spec: TensorSpec
    name: str
    tuned: TensorMap
    start: int
    base: TensorMap | None = None

    def bits(self, lo: int, hi: int) -> memoryview:
        """The tuned bytes of rows lo..hi behind `start`."""
        return self.tuned.buffer(self.name, self.start + lo, self.start + hi)

    def rows(self, lo: int, hi: int) -> Float32:
        return to_float32(self.bits(lo, hi), self.spec.dtype).reshape(hi - lo, self.spec.row_size)

    def solid(self) -> Raw | Copy:
        """The same rows as a term that can be stored; with `base`, a copy where they are one."""
        return kept(self.base, self.tuned, self.name, self.start)

    @property
    def nbytes(self) -> int:
        return 0

    def save(self) -> tuple[dict[str, Any], bytes]:
        return self.solid().save()

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Term:
        raise DeltakitError("a reference is never stored", remedy="report this file")
