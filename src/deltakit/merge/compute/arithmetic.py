"""The precision that a method works in: float32, or a narrower dtype that is rounded to behind every operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.tensors import rounded

__all__ = ["FLOAT32", "Arithmetic", "fused_multiply_add"]

Number: TypeAlias = "Float32 | np.float32 | float"


@dataclass(frozen=True)
class Arithmetic:
    """Elementwise operations on float32 arrays whose results are rounded to `dtype` ("F32", "BF16", "F16"), as a tool
    computes that keeps its tensors in that dtype: each operation in float32, then one rounding."""

    dtype: str = "F32"

    def round(self, values: Number) -> Float32:
        """The nearest values of the dtype, to even."""
        array = np.asarray(values, np.float32)
        if self.dtype == "F32":
            return array
        return rounded(array, self.dtype)

    def add(self, a: Number, b: Number) -> Float32:
        return self.round(np.add(a, b, dtype=np.float32))

    def sub(self, a: Number, b: Number) -> Float32:
        return self.round(np.subtract(a, b, dtype=np.float32))

    def mul(self, a: Number, b: Number) -> Float32:
        return self.round(np.multiply(a, b, dtype=np.float32))

    def div(self, a: Number, b: Number) -> Float32:
        return self.round(np.divide(a, b, dtype=np.float32))

    def sum(self, values: Sequence[Float32]) -> Float32:
        """A sum that is accumulated in float32 in the order given, and rounded once."""
        return self.round(reduce(np.add, values))


FLOAT32 = Arithmetic()


def fused_multiply_add(a: Number, b: Number, c: Number) -> Float32:
    """a * b + c with one rounding to float32, to even, as the processor's instruction does.

    The product is exact in float64; the sum is rounded there to an odd last bit unless it is exact (by its error after
    Knuth), so that the rounding to float32 behind it is the only one (Boldo & Melquiond, 2008).
    """
    product = np.multiply(a, b, dtype=np.float64)
    added = np.asarray(c, np.float64)
    total = np.asarray(product + added)
    part = total - product
    error = (product - (total - part)) + (added - part)
    even = (total.view(np.int64) & 1) == 0
    toward = np.where(error > 0, np.inf, -np.inf)
    odd = np.where(np.isfinite(error) & (error != 0) & even, np.nextafter(total, toward), total)
    return odd.astype(np.float32)
