"""Coding a column of a factor by a trellis (delta/coding/trellis.py): the nearest ring of bits, nearly.

The best path is searched twice: first from the middle of the column round to its middle, from any state to any, which
tells the state where the column closes on itself; then over the column, from that state back to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.packing import Codes
from deltakit.delta.coding.trellis import STATE, ring, states, table

__all__ = ["code_column"]

Float64 = NDArray[np.float64]
_STARTS, _SWEEPS = 256, 3  # of a short column
_SPREAD = (0.0, 0.85, 0.95, 1.0)  # of the table, for a column of unit variance, by bits: least loss of a Gaussian


def code_column(x: NDArray[np.floating], bits: int) -> tuple[NDArray[np.float32], float]:
    """The numbers of the table nearest to x / scale that a trellis of `bits` allows, (n,), and the scale, fitted to
    them. A column of zeros has scale 0."""
    peak = float(np.abs(x).max(initial=0.0))
    unit = np.asarray(x, np.float64) / (peak or 1.0)
    spread = float(np.sqrt(np.mean(np.square(unit)))) if peak else 1.0
    codes = _search((unit / spread).astype(np.float32), bits)
    found = table()[states(ring(codes, bits), bits)]
    near = found.astype(np.float64)
    return found, max(0.0, float(near @ unit / (near @ near))) * peak if peak else 0.0


def _search(x: NDArray[np.float32], bits: int) -> Codes:
    from deltakit.compress.fit.kernels.trellis import search

    values = table() * np.float32(_SPREAD[bits])
    if len(x) * bits < STATE:
        return _of_all(x, bits, values)
    if len(x) * bits < 4 * STATE:
        return _descended(x, bits, values)
    middle = len(x) // 2
    back, codes = np.empty((len(x), len(values) >> bits), np.uint8), np.empty(len(x), np.uint8)
    search(np.roll(x, -middle), values, bits, -1, back, codes)
    closes = int(states(codes[: len(x) - middle], bits)[-1])
    search(x, values, bits, closes, back, codes)
    return codes


def _descended(x: NDArray[np.float32], bits: int, values: NDArray[np.float32]) -> Codes:
    """A short column, which its closing state all but decides: from many rings, one code changed at a time while that
    helps; the best of all."""
    rings = np.random.default_rng(0).integers(0, 1 << bits, (_STARTS, len(x)), dtype=np.uint8)
    least = _errors(x, rings, bits, values)
    for _ in range(_SWEEPS):
        for i in range(len(x)):
            for _ in range((1 << bits) - 1):
                tried = rings.copy()
                tried[:, i] = (tried[:, i] + 1) % (1 << bits)
                now = _errors(x, tried, bits, values)
                rings[now < least] = tried[now < least]
                least = np.minimum(least, now)
    found: Codes = rings[np.argmin(least)]
    return found


def _errors(x: NDArray[np.float32], rings: Codes, bits: int, values: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.square(x - values[states(ring(rings, bits), bits)]).sum(axis=1)
    return found


def _of_all(x: NDArray[np.float32], bits: int, values: NDArray[np.float32]) -> Codes:
    """The nearest of all rings, of which a column of less than a state has few."""
    number = np.arange(1 << (len(x) * bits))[:, None] >> (bits * np.arange(len(x)))
    every = (number & ((1 << bits) - 1)).astype(np.uint8)
    found: Codes = every[np.argmin(_errors(x, every, bits, values))]
    return found
