"""Tuned bits range-coded against the base's: the smallest lossless form of most fine-tunes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from deltakit.delta.coding.planes import Unsigned
from deltakit.delta.coding.ranged import Coded, code
from deltakit.delta.terms.tied import Tied, base_bits, tuned_bits
from deltakit.tensors import TensorMap, TensorSpec, as_bytes

__all__ = ["Ranged"]


@dataclass(frozen=True)
class Ranged(Tied):
    """Differences of bit patterns under a model that knows the base's exponents (coding/ranged.py)."""

    kind: ClassVar[str] = "ranged"

    @classmethod
    def of(cls, base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec) -> Ranged:
        """Code the shared rows of one tensor; `spec` has their shape and the tuned dtype (BF16, F16 or F32)."""

        def pull(lo: int, hi: int) -> tuple[Unsigned, Unsigned]:
            return base_bits(base, name, lo, hi, spec.dtype), tuned_bits(tuned, name, lo, hi)

        return cls(spec, memoryview(code(pull, spec.rows, spec.row_size, spec.dtype)), base, name)

    @property
    def coded(self) -> Coded:
        """The payload, opened; CheckpointError where its sizes do not fit the spec."""
        return Coded.open(self.payload, self.spec.rows, self.spec.row_size, self.spec.dtype)

    @property
    def step(self) -> int:
        return self.coded.step

    def bits(self, lo: int, hi: int) -> memoryview:
        base = self.bound
        return as_bytes(self.coded.read(lo, hi, lambda a, b: base_bits(base, self.name, a, b, self.spec.dtype)))

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Ranged:
        made = cls(spec, payload)
        made.coded  # noqa: B018  # sizes are checked before anything is asked for
        return made
