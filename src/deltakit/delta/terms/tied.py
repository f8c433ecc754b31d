"""What terms have in common that know the tuned bits themselves, given the base's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.planes import Unsigned
from deltakit.delta.terms.base import Float32, Term, base_floats
from deltakit.errors import MismatchError
from deltakit.tensors import TensorMap, TensorSpec, cast_bytes, numpy_bits, to_float32

__all__ = ["Tied", "base_bits", "tuned_bits"]


@dataclass(frozen=True)
class Tied(Term):
    """A payload that makes the tuned bits of the base's. Numbers need the base: `bind` first."""

    spec: TensorSpec
    payload: memoryview
    base: TensorMap | None = None
    name: str = ""

    @abstractmethod
    def bits(self, lo: int, hi: int) -> memoryview:
        """The tuned bytes of rows lo..hi."""

    def bind(self, base: TensorMap, name: str) -> Self:
        return self if self.base is base and self.name == name else replace(self, base=base, name=name)

    def rows(self, lo: int, hi: int) -> Float32:
        tuned = to_float32(self.bits(lo, hi), self.spec.dtype).reshape(hi - lo, self.spec.row_size)
        return np.subtract(tuned, base_floats(self.bound, self.name, lo, hi, self.spec.dtype), out=tuned)

    def gather(self, ids: Sequence[int] | NDArray[np.int64]) -> Float32:
        """Rows that lie together are decoded together: a chunk is never decoded twice."""
        wanted, back = np.unique(np.asarray(ids, np.int64), return_inverse=True)
        out = np.empty((len(wanted), self.spec.row_size), np.float32)
        step, at = max(1, self.step), 0
        while at < len(wanted):
            stop = int(np.searchsorted(wanted, (wanted[at] // step + 1) * step))
            first, last = int(wanted[at]), int(wanted[stop - 1]) + 1
            out[at:stop] = self.rows(first, last)[wanted[at:stop] - first]
            at = stop
        return np.ascontiguousarray(out[back])

    @property
    def step(self) -> int:
        """Rows that are decoded together."""
        return 1

    @property
    def nbytes(self) -> int:
        return len(self.payload)

    @property
    def bound(self) -> TensorMap:
        """The base; MismatchError where there is none yet."""
        if self.base is None:
            raise MismatchError(
                f"an {self.kind} term has no numbers without its base", remedy="bind the delta to its base"
            )
        return self.base

    def save(self) -> tuple[dict[str, Any], bytes]:
        return {}, bytes(self.payload)


def base_bits(base: TensorMap, name: str, lo: int, hi: int, dtype: str) -> Unsigned:
    """The base's rows, flat, as bit patterns of the tuned dtype."""
    return np.frombuffer(cast_bytes(base.buffer(name, lo, hi), base.specs[name].dtype, dtype), numpy_bits(dtype))


def tuned_bits(tuned: TensorMap, name: str, lo: int, hi: int) -> Unsigned:
    """The tuned rows, flat, as bit patterns."""
    return np.frombuffer(tuned.buffer(name, lo, hi), numpy_bits(tuned.specs[name].dtype))
