"""Rows kept as they are: what a fine-tune has and its base lacks (added vocabulary, an untied head)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.coding.planes import Unsigned, encode
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.packed import Packed
from deltakit.tensors import TensorMap, as_bytes, numpy_bits, to_float32

__all__ = ["Raw"]


@dataclass(frozen=True)
class Raw(Packed):
    """The bits themselves in byte planes; `rows` gives the values, not a difference."""

    kind: ClassVar[str] = "raw"

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
        return as_bytes(self.planes.read(lo, hi))

    def rows(self, lo: int, hi: int) -> Float32:
        return to_float32(self.bits(lo, hi), self.spec.dtype).reshape(hi - lo, self.spec.row_size)
