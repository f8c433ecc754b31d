"""What every term can do. A term is one structured summand of a delta, over the rows it shares with the base."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import MismatchError
from deltakit.tensors import TensorMap, TensorSpec, rounded, row_blocks, to_float32

__all__ = ["Float32", "Term", "base_floats"]

Float32 = NDArray[np.float32]


def base_floats(base: TensorMap, name: str, lo: int, hi: int, dtype: str) -> Float32:
    """Rows lo..hi of the base as float32 (hi-lo, row_size), as they look in `dtype`: where dtypes differ,
    a delta is taken in the tuned dtype."""
    spec = base.specs[name]
    values = to_float32(base.buffer(name, lo, hi), spec.dtype)
    if dtype != spec.dtype:
        values = rounded(values, dtype)
    return values.reshape(hi - lo, spec.row_size)


class Term(ABC):
    """One summand. `spec` is the shape of the shared rows with the tuned model's dtype; the matrix view of
    any tensor is (rows, row_size). All numbers are float32."""

    kind: ClassVar[str]
    spec: TensorSpec

    @abstractmethod
    def rows(self, lo: int, hi: int) -> Float32:
        """Rows lo..hi, (hi-lo, row_size)."""

    @abstractmethod
    def save(self) -> tuple[dict[str, Any], bytes]:
        """JSON-able fields and the payload, from which `load` makes the same term."""

    @classmethod
    @abstractmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Term:
        """The term of `save`'s fields and payload. Sizes are checked before anything is allocated."""

    @property
    def nbytes(self) -> int:
        """Bytes of the payload as stored."""
        return len(self.save()[1])

    @property
    def rank(self) -> int | None:
        """The rank of a factored term, None for the others."""
        return None

    def bind(self, base: TensorMap, name: str) -> Term:
        """The term with numbers: one whose values depend on the base gets it here."""
        return self

    def gather(self, ids: Sequence[int] | NDArray[np.int64]) -> Float32:
        """Single rows by index, (len(ids), row_size), as an embedding looks them up."""
        out = np.empty((len(ids), self.spec.row_size), np.float32)
        for i, row in enumerate(ids):
            out[i] = self.rows(int(row), int(row) + 1)[0]
        return out

    def matmul(self, x: Float32) -> Float32:
        """x @ deltaᵀ for activations x (tokens, row_size); gives (tokens, rows)."""
        if x.ndim != 2 or x.shape[1] != self.spec.row_size:
            raise MismatchError(f"activations {x.shape} do not fit a delta with rows of {self.spec.row_size}")
        out = np.empty((x.shape[0], self.spec.rows), np.float32)
        for lo, hi in row_blocks(self.spec):
            out[:, lo:hi] = x @ self.rows(lo, hi).T
        return out

    def inner(self, other: Term) -> float:
        """The Frobenius inner product with another term of the same shape, accumulated in float64."""
        if other.spec.shape != self.spec.shape:
            raise MismatchError(f"inner product of terms of shapes {self.spec.shape} and {other.spec.shape}")
        total = 0.0
        for lo, hi in row_blocks(self.spec):
            a, b = self.rows(lo, hi).ravel(), other.rows(lo, hi).ravel()
            total += float(np.dot(a.astype(np.float64), b.astype(np.float64)))
        return total
