"""Numbers on uniform grids: codes of 1 to 8 bits times a bfloat16 scale per group of consecutive ones.

Without a zero, code c stands for scale * (c - (2**bits - 1)/2); with one, for scale * (c - 2**(bits - 1)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.packing import Codes

__all__ = ["middle", "scaled"]

Float32 = NDArray[np.float32]


def middle(bits: int, zero: bool) -> np.float32:
    """What is taken off a code."""
    return np.float32(1 << (bits - 1)) if zero else np.float32(((1 << bits) - 1) / 2)


def scaled(codes: Codes, scales: Float32, group: int, bits: int, zero: bool) -> Float32:
    """Numbers (rows, columns) of codes of that shape, with scales (rows, ceil(columns / group))."""
    out = np.subtract(codes, middle(bits, zero), dtype=np.float32)
    height, width = codes.shape
    whole = width // group
    if whole * group == width:
        out.reshape(height, whole, group)[:] *= scales[:, :, None]
    else:
        for k in range(whole):
            out[:, k * group : (k + 1) * group] *= scales[:, k : k + 1]
        out[:, whole * group :] *= scales[:, whole:]
    return out
