"""A grid per group: codes of 1 to 8 bits, a bfloat16 scale for each group of a row of the matrix, no zero points.

The matrix view is matrix.py's. Groups are `group` consecutive columns of one row; the last one of a row may be short.
Payload: the scales, row by row, then the codes, row-major (packing.py): of the first `wide` rows in `bits`, then, from
a whole byte on, of the others in one bit less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deltakit.delta.coding.grid import scaled
from deltakit.delta.coding.packing import Codes, pack, packed_size, unpack
from deltakit.delta.terms.base import Float32, Term
from deltakit.delta.terms.matrix import matrix_range, matrix_shape
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec, from_float32, rounded, to_float32

__all__ = ["Grouped", "grouped_bytes"]


def grouped_bytes(shape: tuple[int, int], bits: int, group: int, wide: int | None = None) -> int:
    """Payload bytes for a matrix of `shape`, everything counted."""
    rows, columns = shape
    wide = rows if wide is None else wide
    codes = packed_size(wide * columns, bits) + (packed_size((rows - wide) * columns, bits - 1) if rows > wide else 0)
    return 2 * rows * -(-columns // group) + codes


@dataclass(frozen=True, eq=False)
class Grouped(Term):
    """`scales` (rows, ceil(columns / group)) and the packed `codes`, those of the first `wide` rows (None: of all) with
    `code` bits, of the others with one less; `zero`: the grid has a zero (grid.py)."""

    kind: ClassVar[str] = "grouped"
    spec: TensorSpec
    code: int
    group: int
    scales: Float32
    codes: memoryview
    zero: bool = False
    wide: int | None = None

    @classmethod
    def of(
        cls,
        spec: TensorSpec,
        codes: Codes,
        scales: Float32,
        bits: int,
        group: int,
        zero: bool = False,
        wide: int | None = None,
    ) -> Grouped:
        """Codes of the matrix' shape; scales are rounded to bfloat16."""
        packed = pack(codes[:wide], bits) + (b"" if wide is None else pack(codes[wide:], bits - 1))
        return cls(spec, bits, group, rounded(scales, "BF16"), memoryview(packed), zero, wide)

    def rows(self, lo: int, hi: int) -> Float32:
        height, width = matrix_shape(self.spec)
        first, last = matrix_range(self.spec, lo, hi)
        edge = height if self.wide is None else self.wide
        if last <= edge:
            out = self._part(first, last, self.code, self.codes, 0)
        elif first >= edge:
            out = self._part(first, last, self.code - 1, self._narrow(edge * width), edge)
        else:
            below = self._part(edge, last, self.code - 1, self._narrow(edge * width), edge)
            out = np.concatenate([self._part(first, edge, self.code, self.codes, 0), below])
        return out.reshape(hi - lo, self.spec.row_size)

    def _narrow(self, before: int) -> memoryview:
        """The stream of the codes of one bit less, `before` others being in front."""
        return self.codes[packed_size(before, self.code) :]

    def _part(self, first: int, last: int, bits: int, stream: memoryview, start: int) -> Float32:
        """Matrix rows first..last, whose codes lie in a stream that begins with row `start`."""
        width = matrix_shape(self.spec)[1]
        codes = unpack(stream, bits, (last - first) * width, (first - start) * width).reshape(last - first, width)
        return scaled(codes, self.scales[first:last], self.group, bits, self.zero)

    @property
    def nbytes(self) -> int:
        return grouped_bytes(matrix_shape(self.spec), self.code, self.group, self.wide)

    def save(self) -> tuple[dict[str, Any], bytes]:
        fields: dict[str, Any] = {"b": self.code, "g": self.group} | ({"z": 1} if self.zero else {})
        fields |= {} if self.wide is None else {"m": self.wide}
        return fields, from_float32(self.scales.ravel(), "BF16").tobytes() + bytes(self.codes)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Grouped:
        bits, group, zero = fields.get("b"), fields.get("g"), fields.get("z", 0)
        if type(bits) is not int or not 1 <= bits <= 8 or type(group) is not int or group < 1 or zero not in (0, 1):
            raise CheckpointError(f"a grouped term has {bits!r} bits, groups of {group!r} and zero {zero!r}")
        rows, columns = matrix_shape(spec)
        wide = fields.get("m")
        if wide is not None and (type(wide) is not int or not 0 <= wide <= rows or bits < 2):
            raise CheckpointError(f"a grouped term of {rows} rows and {bits} bits has {wide!r} wide rows")
        want = grouped_bytes((rows, columns), bits, group, wide)
        if payload.nbytes != want:
            raise CheckpointError(f"a grouped payload has {payload.nbytes} bytes, {bits} bits by {group} take {want}")
        at = 2 * rows * -(-columns // group)
        scales = to_float32(payload[:at], "BF16").reshape(rows, -(-columns // group))
        return cls(spec, bits, group, scales, payload[at:], bool(zero), wide)
