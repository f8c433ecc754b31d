"""A float difference stored element by element, in a float dtype of its own, losslessly packed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from deltakit.delta.coding.planes import Unsigned, encode
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.packed import Packed
from deltakit.errors import CheckpointError
from deltakit.tensors import FLOAT_DTYPES, TensorSpec, from_float32, numpy_bits, to_float32

__all__ = ["Dense"]


@dataclass(frozen=True)
class Dense(Packed):
    """Values of dtype `stored` ("F32", "BF16", "F16") in byte planes."""

    kind: ClassVar[str] = "dense"
    stored: str = "F32"

    @classmethod
    def of(cls, rows: Callable[[int, int], Float32], spec: TensorSpec, stored: str = "F32") -> Dense:
        """Code float32 rows, rounded once to `stored`."""

        def pull(lo: int, hi: int) -> Unsigned:
            values = np.ascontiguousarray(from_float32(rows(lo, hi).ravel(), stored))
            return values.view(numpy_bits(stored))

        return cls(spec, memoryview(encode(pull, spec.rows, spec.row_size)), stored)

    def rows(self, lo: int, hi: int) -> Float32:
        return to_float32(self.planes.read(lo, hi), self.stored).reshape(hi - lo, self.spec.row_size)

    @property
    def itemsize(self) -> int:
        return numpy_bits(self.stored).itemsize

    def save(self) -> tuple[dict[str, Any], bytes]:
        return {"t": self.stored}, bytes(self.payload)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Self:
        if fields["t"] not in FLOAT_DTYPES:
            raise CheckpointError(f"a dense term has values of dtype {fields['t']!r}")
        made = cls(spec, payload, fields["t"])
        made.planes  # noqa: B018  # sizes are checked before anything is asked for
        return made
