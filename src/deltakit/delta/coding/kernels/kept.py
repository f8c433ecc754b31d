"""Values into the places that a mask keeps, also a mask that is drawn on the way: the lanes of rng.py."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import as_bits, as_float, compiled

__all__ = ["expand", "fill"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_BLOCK = 1024  # words


@compiled
def _keep(kept, key, last, word):
    """Which lanes are at most `last`, two for each word from `word` on."""
    for i in range(kept.size // 2):
        z = key + (np.uint64(word) + np.uint64(i + 1)) * _STEP
        z = (z ^ (z >> _30)) * _M1
        z = (z ^ (z >> _27)) * _M2
        z = z ^ (z >> _31)
        kept[2 * i] = (z & _LOW) <= last
        kept[2 * i + 1] = (z >> _32) <= last


@compiled
def expand(out, kept, values):
    """The next of `values` where kept is 1, zero where it is 0; values has one for every 1, and at least one."""
    used, last = np.int64(0), values.size - 1
    for i in range(out.size):
        # no branch: half of them would be guessed wrong; behind the last value the last is masked out
        value = as_bits(values[min(used, last)])
        out[i] = as_float(value & (np.uint32(0) - np.uint32(kept[i])))
        used = used + np.int64(kept[i])


@compiled
def fill(out, values, key, last, start, skip):
    """Elements start .. start+skip+out.size of a tensor, the first `skip` left out; `start` is even. The number of
    values that the mask keeps, all of `values` having been used up to there; -1 where there are too few."""
    kept, used, end = np.empty(2 * _BLOCK, np.uint8), np.int64(0), skip + out.size
    for at in range(0, end, 2 * _BLOCK):
        _keep(kept, key, last, (start + at) // 2)
        size = min(2 * _BLOCK, end - at)
        here = np.int64(0)
        for i in range(size):
            here = here + np.int64(kept[i])
        if used + here > values.size:
            return -1
        first = min(max(skip - at, 0), size)
        for i in range(first):
            used = used + np.int64(kept[i])
        if first < size and values.size:
            after = used
            for i in range(first, size):
                after = after + np.int64(kept[i])
            expand(out[at - skip + first : at - skip + size], kept[first:size], values[min(used, values.size - 1) :])
            used = after
    return used
