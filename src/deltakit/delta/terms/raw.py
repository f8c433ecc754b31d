"""Rows kept as they are: what a fine-tune has and its base lacks (added vocabulary, an untied head)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deltakit.delta.planes import Planes, Unsigned, encode
from deltakit.delta.terms.base import Float32, Term
from deltakit.tensors import TensorMap, TensorSpec, as_bytes, numpy_bits, to_float32

__all__ = ["Raw"]


@dataclass(frozen=True)
class Raw(Term):
    """The bits themselves in byte planes; `rows` gives the values, not a difference."""

    kind: ClassVar[str] = "raw"
    spec: TensorSpec
    payload: memoryview

    @classmethod
    def of(cls, source: TensorMap, name: str, lo: int = 0) -> Raw:
        """Code the rows from `lo` to the end of one tensor."""
        whole = source.specs[name]
        spec = whole.with_rows(whole.rows - lo)

        def pull(a: int, b: int) -> Unsigned:
            return np.frombuffer(source.buffer(name, lo + a, lo + b), numpy_bits(spec.dtype))

        return cls(spec, memoryview(encode(pull, spec.rows, spec.row_size)))

    def bits(self, lo: int, hi: int) -> memoryview:
        """The stored bytes of rows lo..hi."""
        planes = Planes.open(self.payload, self.spec.rows, self.spec.row_size, self.spec.itemsize)
        return as_bytes(planes.read(lo, hi))

    def rows(self, lo: int, hi: int) -> Float32:
        return to_float32(self.bits(lo, hi), self.spec.dtype).reshape(hi - lo, self.spec.row_size)

    @property
    def nbytes(self) -> int:
        return len(self.payload)

    def save(self) -> tuple[dict[str, Any], bytes]:
        return {}, bytes(self.payload)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Raw:
        Planes.open(payload, spec.rows, spec.row_size, spec.itemsize)
        return cls(spec, payload)
