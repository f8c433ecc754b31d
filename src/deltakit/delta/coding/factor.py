"""One factor of a low-rank band as it is stored: codes of 1 to 8 bits in a tight stream, floats, or a trellis code.

A column of codes c stands for the half-odd numbers c - (2**bits - 1)/2, without a scale of its own: the term's s takes
the scale of both sides in. A float16 scale per group of 32 elements would cost a quarter of a 2-bit budget, one per 128
a sixteenth; at equal true bytes that is a draw at best (bench/results/compress_synthetic.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.packing import check_bits, pack, packed_size, unpack, unpack_rows
from deltakit.delta.coding.trellis import TRELLIS, packed, read
from deltakit.errors import RecipeError
from deltakit.tensors import FLOAT_DTYPES, ITEMSIZE, from_float32, to_float32

__all__ = ["Code", "Factor", "factor_size", "is_code", "is_factor_code", "midrise"]

Float32 = NDArray[np.float32]
Code = int | str  # 1..8 bits, a float dtype, or a trellis code


def is_code(code: Any) -> bool:
    """Whether numbers can be stored so: 1 to 8 (bits) or "F16", "BF16", "F32"."""
    return code in FLOAT_DTYPES if isinstance(code, str) else type(code) is int and 1 <= code <= 8


def is_factor_code(code: Any) -> bool:
    """Whether a factor can: by "T1", "T2" and "T3" too."""
    return is_code(code) or (isinstance(code, str) and code in TRELLIS)


def midrise(bits: int) -> Float32:
    """The numbers that the codes 0 .. 2**bits-1 stand for: half-odd, symmetric, without zero."""
    return np.arange(1 << check_bits(bits), dtype=np.float32) - np.float32(((1 << bits) - 1) / 2)


def factor_size(length: int, rank: int, code: Code) -> int:
    """Bytes of a factor (length, rank)."""
    if isinstance(code, str) and code not in TRELLIS:
        return length * rank * ITEMSIZE[code]
    return packed_size(length * rank, TRELLIS[code] if isinstance(code, str) else code)


@dataclass(frozen=True, eq=False)
class Factor:
    """A matrix (length, rank), row-major."""

    code: Code
    length: int
    rank: int
    raw: memoryview

    @classmethod
    def of(cls, values: NDArray[Any], code: Code) -> Factor:
        """Codes (uint8) of `code` bits; floats, rounded once to the dtype `code`; or numbers that a trellis gives."""
        if isinstance(code, int):
            raw = pack(values, code)
        else:
            raw = packed(values, TRELLIS[code]) if code in TRELLIS else _floats(values, code)
        return cls(code, values.shape[0], values.shape[1], memoryview(raw))

    def rows(self, lo: int, hi: int) -> Float32:
        """Rows lo..hi as numbers, (hi-lo, rank)."""
        out = np.empty((hi - lo, self.rank), np.float32)
        self.fill(out, lo)
        return out

    def fill(self, out: Float32, lo: int) -> None:
        """Write rows lo .. lo+len(out) as numbers into `out` (rows, rank), which may be a part of a wider array."""
        count = len(out) * self.rank
        if isinstance(self.code, int):
            codes = unpack(self.raw, self.code, count, lo * self.rank).reshape(out.shape)
            np.subtract(codes, np.float32(((1 << self.code) - 1) / 2), out=out, dtype=np.float32)
        elif self.code in TRELLIS:
            out[:] = read(self.raw, TRELLIS[self.code], self.length, self.rank, lo, lo + len(out))
        else:
            step = self.rank * ITEMSIZE[self.code]
            out[:] = to_float32(self.raw[lo * step : (lo + len(out)) * step], self.code).reshape(out.shape)

    def gather(self, ids: Sequence[int] | NDArray[np.int64]) -> Float32:
        """Single rows by index, (len(ids), rank), touching their bytes alone."""
        if isinstance(self.code, int):
            return midrise(self.code)[unpack_rows(self.raw, self.code, self.rank, ids)]
        out = np.empty((len(ids), self.rank), np.float32)
        for i, row in enumerate(ids):
            out[i] = self.rows(int(row), int(row) + 1)[0]
        return out


def _floats(values: Float32, dtype: str) -> bytes:
    """Rounded once; a finite number that overflows is an error, not an infinity."""
    if dtype == "F16" and values.size and float(np.abs(values).max()) > 65504.0:
        raise RecipeError("a factor does not fit in float16", remedy="store the factors as BF16 or F32")
    return from_float32(np.ascontiguousarray(values, np.float32), dtype).tobytes()
