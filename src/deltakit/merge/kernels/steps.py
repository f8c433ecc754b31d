"""The steps of a merge on one block of float32 elements: what primitives and reducers do, loop by loop."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import as_bits, compiled
from deltakit.merge.kernels.codes import decode
from deltakit.merge.kernels.rows import crumbs, prune

__all__ = [
    "BLOCK",
    "CRUMBS",
    "DROP",
    "PRUNE",
    "TRIM",
    "deltas_of",
    "elect",
    "finite",
    "plain_sum",
    "scratch",
    "step",
    "weigh",
]

BLOCK = 1024  # elements: the blocks of a few models fit the first level of cache
DROP, TRIM, CRUMBS, PRUNE = 0, 1, 2, 3  # codes of steps

_STEP = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_EXPONENT = np.uint32(0x7F800000)
_ZERO = np.float32(0)


@compiled
def scratch(members, steps, block):
    """Room for one block: a delta for each member, then base, sum, share and one to read into (only whole rows of it
    are cut: a row of a cut array would not be known to be contiguous); and what steps need: random words, magnitudes,
    hints from one block to the next, two orders."""
    spare = (
        np.empty(block // 2 + 1, np.uint64), np.empty(block, np.uint32), np.zeros((steps, 2), np.uint32),
        np.empty((2, block), np.int32),
    )  # fmt: skip
    return np.empty((members + 4, block), np.float32), spare


@compiled
def deltas_of(room, members, size, spare, at, start, program):
    """Fill the rows of `room`: a delta for each member behind its steps, then the base. `at` counts from the sources'
    addresses, `start` + `at` from the tensor's first element."""
    sources, kinds, parts, coefficients, steps = program[:5]
    base, other = room[members][:size], room[members + 3][:size]
    decode(base, sources[0], at, kinds[0])
    done, begun = 0, 0
    for j in range(members):
        x = room[j][:size]
        if begun >= parts.shape[0] or parts[begun, 0] != j:
            for i in range(size):
                x[i] = _ZERO
        first = True
        while begun < parts.shape[0] and parts[begun, 0] == j:
            source = parts[begun, 1]
            _difference(x if first else other, base, sources[source], at, kinds[source], coefficients[begun])
            if not first:
                _add(x, other)
            first = False
            begun += 1
        while done < steps.shape[0] and steps[done, 0] == j:
            step(x, steps[done, 1], done, spare, start + at, program[5:])
            done += 1


@compiled
def _difference(x, base, source, at, kind, coefficient):
    decode(x, source, at, kind)
    if coefficient == np.float32(1):
        for i in range(x.size):
            x[i] = x[i] - base[i]
    else:
        for i in range(x.size):
            x[i] = (x[i] - base[i]) * coefficient


@compiled
def _add(x, y):
    for i in range(x.size):
        x[i] = x[i] + y[i]


@compiled
def step(x, code, k, spare, start, table):
    """One primitive in place, with row `k` of the `table` of steps: DROP keeps lanes up to its limit, times its value;
    TRIM keeps magnitudes from its value on; CRUMBS and PRUNE rank `x` as one row, and have a first and an end rank in
    their key, or a limit and a factor for every rank."""
    keys, limits, values, rank_limits, rank_factors = table
    words, sizes, hints, order = spare
    if code == DROP:
        lanes = _lanes(words, x.size, start, keys[k])
        limit, factor = limits[k], values[k]
        for i in range(x.size):
            x[i] = x[i] * factor if lanes[i] <= limit else _ZERO
    elif code == TRIM:
        value = values[k]
        for i in range(x.size):
            x[i] = x[i] if abs(x[i]) >= value else _ZERO
    elif code == CRUMBS:
        first, end = np.int64(keys[k] & np.uint64(0xFFFFFFFF)), np.int64(keys[k] >> np.uint64(32))
        crumbs(x, sizes[: x.size], first, end, hints[k])
    else:
        lanes = _lanes(words, x.size, start, keys[k])
        prune(x, sizes[: x.size], lanes, rank_limits[k], rank_factors[k], order)


@compiled
def _lanes(words, count, start, key):
    """Those of `deltakit.rng`: an element takes the low half of its word if its index is even, else the high one."""
    first = start // 2
    for i in range((start + count + 1) // 2 - first):
        z = key + np.uint64(first + i + 1) * _STEP
        z = (z ^ (z >> np.uint64(30))) * _M1
        z = (z ^ (z >> np.uint64(27))) * _M2
        words[i] = z ^ (z >> np.uint64(31))
    odd = start - 2 * first
    return words.view(np.uint32)[odd : odd + count]


@compiled
def weigh(total, room, weights):
    """total = sum of weight * delta, in order."""
    x, w = room[0][: total.size], weights[0]
    for i in range(total.size):
        total[i] = x[i] * w
    for j in range(1, weights.size):
        _add_times(total, room[j][: total.size], weights[j])


@compiled
def _add_times(total, x, w):
    for i in range(total.size):
        total[i] = total[i] + x[i] * w


@compiled
def plain_sum(total, room, members):
    """total = sum of deltas, in order."""
    x = room[0][: total.size]
    for i in range(total.size):
        total[i] = x[i]
    for j in range(1, members):
        _add(total, room[j][: total.size])


@compiled
def finite(x):
    """Whether every element is finite."""
    wrong = 0
    for i in range(x.size):
        wrong += (as_bits(x[i]) & _EXPONENT) == _EXPONENT
    return wrong == 0


@compiled
def elect(total, share, signs, room, weights, tie, scale):
    """total = the mean over the nonzero deltas of the sign of their sum, times `scale`. `tie` (1 or -1) is the sign
    where the sum is 0. False where a sum is not finite."""
    plain_sum(total, room, weights.size)
    if not finite(total):
        return False
    for i in range(total.size):
        s = total[i]
        signs[i] = tie if s == _ZERO else (np.float32(1) if s > _ZERO else np.float32(-1))
        total[i] = _ZERO
        share[i] = _ZERO
    for j in range(weights.size):
        _agreeing(total, share, signs, room[j][: total.size], weights[j])
    for i in range(total.size):
        total[i] = total[i] / (share[i] if share[i] > _ZERO else np.float32(1)) * scale
    return True


@compiled
def _agreeing(total, share, signs, x, w):
    for i in range(total.size):
        agrees = x[i] * signs[i] > _ZERO
        total[i] = total[i] + (x[i] * w if agrees else _ZERO)
        share[i] = share[i] + (w if agrees else _ZERO)
