"""The scale search of groups.py in one pass, group by group. Its sums are of integers: no order of them shows."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import as_bits, as_float, compiled

__all__ = ["search"]

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_SMALL, _LARGEST = np.float32(2.0**-110), np.float32(3.3895314e38)
_UNIT = np.float32(1 << 20)


@compiled
def _code(value, inverse, middle, top):
    """The code of the grid's number nearest to value / scale: what is cut off is the fraction, never a sign."""
    at = value * inverse + middle
    at = at if at > _ZERO else _ZERO  # min and max would look for NaN, and loops would not be vectorised
    return np.int32(at if at < top else top)


@compiled
def _moments(y, inverse, half, odd):
    """Sums of code * y and of code squared, where codes are twice the grid's numbers."""
    middle, top = np.float32(half) + (_ZERO if odd else _HALF), np.float32(2 * half - 1)
    less = np.int32(2 * half - odd)
    seen, own = np.int64(0), np.int64(0)
    for i in range(y.size):
        code = np.int32(np.int32(2) * _code(np.float32(y[i]), inverse, middle, top) - less)
        seen += np.int64(np.int32(code * y[i]))
        own += np.int64(np.int32(code * code))
    return seen, own


@compiled
def _best(y, rms, around, inside, half, odd):
    """The best scale for the codes of the start, once fitted, that leaves the least error, in units of y."""
    found, gained = _ONE, 0.0
    for k in range(around.size + inside.size):
        scale = rms * around[k] if k < around.size else _UNIT * inside[k - around.size]
        for _ in range(2):
            seen, own = _moments(y, _ONE / scale, half, odd)
            if seen <= 0:
                break
            scale = np.float32(2.0 * seen / own)
        gain = np.float64(seen) * np.float64(seen) / np.float64(own) if seen > 0 else 0.0
        if gain > gained:
            found, gained = scale, gain
    return found


@compiled
def search(x, around, inside, half, odd, codes, scales):
    """Fill codes (groups, size) and scales (groups,) for x; `odd` is 1 for a grid without a zero, else 0."""
    y = np.empty(x.shape[1], np.int32)
    middle, last = np.float32(half) + (_ZERO if odd else _HALF), np.float32(2 * half - 1)
    for g in range(x.shape[0]):
        row, top, bottom = x[g], _ZERO, _ZERO
        for i in range(row.size):
            top = row[i] if row[i] > top else top
            bottom = row[i] if row[i] < bottom else bottom
        peak = max(top, -bottom)
        if peak < _SMALL:
            codes[g, :], scales[g] = np.uint8(half), _ZERO
            continue
        if not odd and top >= -bottom:
            peak = -peak
        energy = np.int64(0)
        for i in range(row.size):
            y[i] = np.int32(np.rint(row[i] / peak * _UNIT))
            energy += np.int64(y[i]) * np.int64(y[i])
        rms = np.float32(np.sqrt(np.float64(energy) / row.size))
        scale = _stored(_best(y, rms, around, inside, half, odd) / _UNIT * peak)
        scales[g], inverse = scale, _ONE / scale
        for i in range(row.size):
            codes[g, i] = np.uint8(_code(row[i], inverse, middle, last))


@compiled
def _stored(scale):
    """Rounded to bfloat16, to nearest even."""
    bits = as_bits(min(max(scale, -_LARGEST), _LARGEST))
    return as_float((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000))
