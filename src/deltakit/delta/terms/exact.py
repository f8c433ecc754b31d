"""The integer difference of bit patterns: base and payload give back the tuned bits, whatever they are.

A float difference is not lossless in general (bf16 pairs rounded to bf16 lose 0.3 % of the elements); this one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from deltakit.delta.coding.planes import Planes, Unsigned, encode, unzigzag, zigzag
from deltakit.delta.terms.tied import Tied, base_bits, tuned_bits
from deltakit.tensors import TensorMap, TensorSpec, as_bytes

__all__ = ["Exact"]


@dataclass(frozen=True)
class Exact(Tied):
    """zigzag(tuned bits - base bits mod 2**n) in byte planes: any dtype, any pair. Smaller forms are in lossless.py."""

    kind: ClassVar[str] = "exact"

    @classmethod
    def of(cls, base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec) -> Exact:
        """Code the shared rows of one tensor; `spec` has their shape and the tuned dtype."""

        def pull(lo: int, hi: int) -> Unsigned:
            return zigzag(tuned_bits(tuned, name, lo, hi) - base_bits(base, name, lo, hi, spec.dtype))

        return cls(spec, memoryview(encode(pull, spec.rows, spec.row_size)), base, name)

    @property
    def planes(self) -> Planes:
        """The payload, opened; CheckpointError where its sizes do not fit the spec."""
        return Planes.open(self.payload, self.spec.rows, self.spec.row_size, self.spec.itemsize)

    @property
    def step(self) -> int:
        return self.planes.step

    def bits(self, lo: int, hi: int) -> memoryview:
        base = base_bits(self.bound, self.name, lo, hi, self.spec.dtype)
        return as_bytes(unzigzag(self.planes.read(lo, hi)) + base)

    @property
    def is_zero(self) -> bool:
        """True where no bit differs."""
        return not len(self.planes.stored)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Exact:
        made = cls(spec, payload)
        made.planes  # noqa: B018  # sizes are checked before anything is asked for
        return made
