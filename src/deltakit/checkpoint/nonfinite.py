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


def count_nonfinite(raw: Any, dtype: str) -> tuple[int, int]:
    """(NaN, infinite) counts; (0, 0) for dtypes without them."""
    if dtype not in _MASKS:
        return 0, 0
    kind = numpy_bits(dtype)
    exponent, mantissa = (kind.type(mask) for mask in _MASKS[dtype])
    bits = np.frombuffer(raw, kind)
    special = bits[(bits & exponent) == exponent]
    nan = int(np.count_nonzero(special & mantissa))
    return nan, int(special.size) - nan
