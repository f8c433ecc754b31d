"""The integer difference of bit patterns: base and payload give back the tuned bits, whatever they are.

A float difference is not lossless in general (bf16 pairs rounded to bf16 lose 0.3 % of the elements); this one is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deltakit.delta.coding.planes import Unsigned, encode, unzigzag, zigzag
from deltakit.delta.terms.base import Float32, base_floats
from deltakit.delta.terms.packed import Packed
from deltakit.errors import MismatchError
from deltakit.tensors import TensorMap, TensorSpec, as_bytes, cast_bytes, numpy_bits, to_float32

__all__ = ["Exact"]


@dataclass(frozen=True)
class Exact(Packed):
    """zigzag(tuned bits - base bits mod 2**n) in byte planes. Numbers need the base: `bind` first."""

    kind: ClassVar[str] = "exact"
    base: TensorMap | None = None
    name: str = ""

    @classmethod
    def of(cls, base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec) -> Exact:
        """Code the shared rows of one tensor; `spec` has their shape and the tuned dtype."""

        def pull(lo: int, hi: int) -> Unsigned:
            bits = np.frombuffer(tuned.buffer(name, lo, hi), numpy_bits(spec.dtype))
            return zigzag(bits - _base_bits(base, name, lo, hi, spec.dtype))

        return cls(spec, memoryview(encode(pull, spec.rows, spec.row_size)), base, name)

    def bind(self, base: TensorMap, name: str) -> Exact:
        return replace(self, base=base, name=name)

    def bits(self, lo: int, hi: int) -> memoryview:
        """The tuned bytes of rows lo..hi."""
        base = self._bound()
        difference = unzigzag(self.planes.read(lo, hi))
        return as_bytes(difference + _base_bits(base, self.name, lo, hi, self.spec.dtype))

    def rows(self, lo: int, hi: int) -> Float32:
        tuned = to_float32(self.bits(lo, hi), self.spec.dtype).reshape(hi - lo, self.spec.row_size)
        return np.subtract(tuned, base_floats(self._bound(), self.name, lo, hi, self.spec.dtype), out=tuned)

    @property
    def is_zero(self) -> bool:
        """True where no bit differs."""
        return not len(self.planes.stored)

    def _bound(self) -> TensorMap:
        if self.base is None:
            raise MismatchError("an exact term has no numbers without its base", remedy="bind the delta to its base")
        return self.base


def _base_bits(base: TensorMap, name: str, lo: int, hi: int, dtype: str) -> Unsigned:
    """The base's rows, flat, as bit patterns of the tuned dtype."""
    return np.frombuffer(cast_bytes(base.buffer(name, lo, hi), base.specs[name].dtype, dtype), numpy_bits(dtype))
