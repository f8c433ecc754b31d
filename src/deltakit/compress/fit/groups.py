"""Codes and scales of many groups at once: float32, a bfloat16 scale each, the search of grids.py.

A mid-rise grid has no zero; a grid with a zero has the steps -half .. half - 1 times a scale of either sign, so that
the odd step out lies on the side of the largest number. Scales are searched over numbers in units of 2**-20 of the
group's peak, so that sums are of integers and in no order: compiled loops find the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.grids import AROUND, INSIDE, STEP
from deltakit.delta.coding.grid import scaled
from deltakit.delta.coding.packing import Codes, check_bits
from deltakit.tensors import rounded

__all__ = ["error", "grid_pays", "quantise_groups", "quantise_mixed", "quantise_rows"]

Float32 = NDArray[np.float32]
_LARGE = 1 << 17  # elements from which compiled loops are worth loading
_SMALL = np.float32(2.0**-110)  # a group below this is zero: its scale would lose digits
_LARGEST = np.float32(3.3895314e38)  # of bfloat16
_UNIT = np.float32(1 << 20)
_SAMPLE = 1 << 14


def quantise_rows(rows: Float32, bits: int, group: int, zero: bool = False) -> tuple[Codes, Float32]:
    """Codes (rows, columns) and scales (rows, ceil(columns / group)); the last group of a row may be short."""
    height, width = rows.shape
    whole = width // group * group
    codes, scales = np.empty(rows.shape, np.uint8), np.empty((height, -(-width // group)), np.float32)
    first = whole // group
    if whole and height:
        found, fitted = quantise_groups(rows[:, :whole].reshape(-1, group), bits, zero)
        codes[:, :whole], scales[:, :first] = found.reshape(height, whole), fitted.reshape(height, first)
    if whole < width and height:
        codes[:, whole:], scales[:, first] = quantise_groups(rows[:, whole:], bits, zero)
    return codes, scales


def quantise_mixed(rows: Float32, widths: NDArray[np.int64], group: int, zero: bool = False) -> tuple[Codes, Float32]:
    """`quantise_rows` with `widths` (rows,) bits."""
    codes = np.empty(rows.shape, np.uint8)
    scales = np.empty((len(rows), -(-rows.shape[1] // group)), np.float32)
    for bits in np.unique(widths):
        mine = widths == bits
        codes[mine], scales[mine] = quantise_rows(rows if mine.all() else rows[mine], int(bits), group, zero)
    return codes, scales


def quantise_groups(x: Float32, bits: int, zero: bool = False) -> tuple[Codes, Float32]:
    """Codes (groups, size) below 2**bits and scales (groups,), representable in bfloat16, for the rows of x: code c
    stands for scale * (c - (2**bits - 1)/2), with `zero` for scale * (c - 2**(bits - 1))."""
    half, odd = 1 << (check_bits(bits) - 1), 0 if zero else 1
    x = np.ascontiguousarray(x, np.float32)
    around, inside = _starts(bits, zero)
    codes, scales = np.empty(x.shape, np.uint8), np.empty(len(x), np.float32)
    if x.size >= _LARGE:
        from deltakit.compress.fit.kernels.grouped import search

        search(x, around, inside, half, odd, codes, scales)
        return codes, scales
    top, bottom = x.max(axis=1, initial=0.0, keepdims=True), x.min(axis=1, initial=0.0, keepdims=True)
    peak = np.maximum(top, -bottom)
    none = peak < _SMALL
    peak = np.where(none, np.float32(1), np.where(zero & (top >= -bottom), -peak, peak))
    y = np.rint(x / peak * _UNIT).astype(np.int32)
    scale = np.where(none, np.float32(1), _stored(_best(y, around, inside, half, odd) / _UNIT * peak))
    codes[:] = np.where(none, half, _codes(x, scale, half, odd))
    scales[:] = np.where(none, np.float32(0), scale)[:, 0]
    return codes, scales


def grid_pays(rows: Float32, bits: int, group: int) -> bool:
    """Whether a grid with a zero loses less than one without, on rows spread over the matrix."""
    if bits == 1:
        return False
    some = rows[:: max(1, rows.size // _SAMPLE)]
    return error(some, bits, group, True) < error(some, bits, group, False)


def error(rows: Float32, bits: int, group: int, zero: bool) -> float:
    """The squared error of coded rows."""
    codes, scales = quantise_rows(rows, bits, group, zero)
    return float(((rows - scaled(codes, scales, group, bits, zero)).astype(np.float64) ** 2).sum())


def _starts(bits: int, zero: bool) -> tuple[Float32, Float32]:
    """Scales to begin from, in units of the root mean square and of the peak."""
    around = np.float32(STEP[bits]) * AROUND.astype(np.float32)
    return around, INSIDE.astype(np.float32) / np.float32((1 << (bits - 1)) - (0.0 if zero else 0.5))


def _best(y: NDArray[np.int32], around: Float32, inside: Float32, half: int, odd: int) -> Float32:
    """The best scale (groups, 1) for the codes of the start, once fitted, that leaves the least error."""
    energy = (y.astype(np.int64) ** 2).sum(axis=1, keepdims=True)
    rms = np.sqrt(energy / y.shape[1]).astype(np.float32)
    found, gained = np.ones_like(rms), np.zeros(rms.shape)
    for start in [rms * a for a in around] + [np.full_like(rms, _UNIT * i) for i in inside]:
        scale = np.where(energy > 0, start, np.float32(1))
        for _ in range(2):
            codes = 2 * _codes(y.astype(np.float32), scale, half, odd) - (2 * half - odd)
            seen = (codes * y.astype(np.int64)).sum(axis=1, keepdims=True)
            own = np.maximum(1, (codes * codes).sum(axis=1, keepdims=True))
            scale = np.where(seen > 0, 2.0 * seen / own, scale).astype(np.float32)
        gain = np.where(seen > 0, seen.astype(np.float64) ** 2 / own, 0.0)
        found, gained = np.where(gain > gained, scale, found), np.maximum(gained, gain)
    return np.asarray(found, np.float32)


def _codes(x: Float32, scale: Float32, half: int, odd: int) -> NDArray[np.int64]:
    """The code of the grid's number nearest to x / scale."""
    at = x * (np.float32(1) / scale) + np.float32(half + (0.0 if odd else 0.5))
    codes: NDArray[np.int64] = np.clip(at, 0, 2 * half - 1).astype(np.int64)
    return codes


def _stored(scale: Float32) -> Float32:
    """Rounded to bfloat16."""
    return rounded(np.clip(scale, -_LARGEST, _LARGEST), "BF16")
