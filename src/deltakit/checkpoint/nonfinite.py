"""Count NaN and infinite values in raw element bytes, by bit pattern."""

from __future__ import annotations

from typing import Any

import numpy as np

from deltakit.tensors import numpy_bits

__all__ = ["count_nonfinite"]

# dtype -> (exponent mask, mantissa mask); E4M3 has no infinities and is not a dtype we compute in
_MASKS = {
    "BF16": (0x7F80, 0x007F),
    "F16": (0x7C00, 0x03FF),
    "F32": (0x7F800000, 0x007FFFFF),
    "F64": (0x7FF0000000000000, 0x000FFFFFFFFFFFFF),
}
_PIECE = 1 << 18  # elements looked at in one go: they and a copy fit a core's own cache


def count_nonfinite(raw: Any, dtype: str) -> tuple[int, int]:
    """(NaN, infinite) counts; (0, 0) for dtypes without them."""
    if dtype not in _MASKS:
        return 0, 0
    kind = numpy_bits(dtype)
    exponent, mantissa = (kind.type(mask) for mask in _MASKS[dtype])
    bits = np.frombuffer(raw, kind)
    nan, infinite = 0, 0
    for lo in range(0, bits.size, _PIECE):
        piece = bits[lo : lo + _PIECE]
        # without its sign the largest pattern is the largest magnitude: mostly nothing is left to count
        if (piece << kind.type(1)).max() >= exponent << kind.type(1):
            special = piece[(piece & exponent) == exponent]
            found = int(np.count_nonzero(special & mantissa))
            nan, infinite = nan + found, infinite + int(special.size) - found
    return nan, infinite
