"""Uniform mid-rise grids with a scale search: x is about scale * (code - (2**bits - 1)/2).

Mid-rise (half-odd numbers, no zero) because at 2 bits it loses 11.9 % of a Gaussian's energy where min-max loses 25 %.
The scale minimises the squared error: many starts, each replaced by the best scale for the codes that it gives, which
is within a few percent of a fine scan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.packing import Codes, check_bits

__all__ = ["AROUND", "INSIDE", "STEP", "nearest", "quantise"]

Float64 = NDArray[np.float64]

# The best step of a uniform grid for a unit Gaussian, by bits (Max, 1960).
STEP = np.array([0.0, 1.5958, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0568, 0.0308])
AROUND = np.array([0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5])  # of the Gaussian's best
INSIDE = np.array([0.5, 0.65, 0.8, 0.88, 0.94, 1.0])  # of the range: what many bits and heavy tails want
_POLISH = 1


def nearest(x: Float64, scale: Float64, bits: int) -> Float64:
    """The grid's number nearest to x / scale; `scale` broadcasts and is positive."""
    half = 1 << (bits - 1)
    return np.clip(np.floor(x / scale), -half, half - 1) + 0.5


def quantise(x: Float64, bits: int) -> tuple[Codes, float]:
    """Codes and scale of one vector: the least squared error found. A zero vector has scale 0."""
    half = 1 << (check_bits(bits) - 1)
    peak = float(np.abs(x).max(initial=0.0))
    if peak < np.finfo(np.float64).tiny * 1e30:
        return np.full(x.shape, half, np.uint8), 0.0
    y = x / peak  # no overflow or underflow in the squares
    rms = float(np.sqrt(np.mean(y * y)))
    scale = np.concatenate([rms * STEP[bits] * AROUND, INSIDE / (half - 0.5)])[:, None]
    for _ in range(_POLISH):
        codes = nearest(y, scale, bits)
        fitted = (codes * y).sum(axis=1, keepdims=True) / (codes * codes).sum(axis=1, keepdims=True)
        scale = np.where(fitted > 0, fitted, scale)
    codes = nearest(y, scale, bits)
    best = int(np.argmin(((y - scale * codes) ** 2).sum(axis=1)))
    return (codes[best] + (half - 0.5)).astype(np.uint8), float(scale[best, 0]) * peak
