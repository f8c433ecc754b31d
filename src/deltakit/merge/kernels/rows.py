"""Steps that rank the elements of one row by magnitude: the largest first, equal ones by their index, NaN last."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import as_bits, compiled

__all__ = ["crumbs", "prune"]

_SIZE, _NAN = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)
_ABOVE = np.uint32(0x7F800002)  # more than any size
_NEAR = np.uint32(1 << 19)  # a sixteenth of a magnitude: rows of one matrix are alike
_FEW = 24
_GROUP = 32
_AROUND = 8
_DIGITS = 2048  # of 11 bits
_ZERO = np.float32(0)


@compiled
def _measure(sizes, x):
    """Magnitudes as integers in their order; 0 for NaN."""
    for i in range(x.size):
        size = as_bits(x[i]) & _SIZE
        sizes[i] = size + np.uint32(1) if size <= _NAN else np.uint32(0)


@compiled
def _from(sizes, low):
    """How many are `low` or more."""
    found = np.uint32(0)
    for i in range(sizes.size):
        found += np.uint32(sizes[i] >= low)
    return np.int64(found)


@compiled
def _below(sizes, high):
    """The largest under `high`."""
    found = np.uint32(0)
    for i in range(sizes.size):
        found = max(found, sizes[i] if sizes[i] < high else np.uint32(0))
    return found


@compiled
def _largest(sizes, count, hint, few):
    """(size, ties, equal): the `count`-th largest of `sizes`, and how many of those equal to it are among the `count`
    largest. `hint` is a size that may be near, or 0. Deltas of narrow floats take few values, so where all else fails
    the next value below is tried in turn with halving."""
    low, high, from_low, from_high = np.uint32(0), _ABOVE, np.int64(sizes.size), np.int64(0)
    tries = 0 if hint > _NEAR else 2
    while high - low > np.uint32(1):
        if from_low - from_high <= _FEW:
            return _among(sizes, low, high, count - from_high, few)
        if tries < 2:
            middle = hint - _NEAR if tries == 0 else hint + _NEAR
        elif tries < 4:  # between the hints magnitudes are spread evenly enough
            wanted = min(max(count + (_AROUND if tries == 2 else -_AROUND), from_high), from_low)
            middle = low + np.uint32(np.float64(high - low) * (from_low - wanted) / (from_low - from_high))
        elif tries % 2:
            middle = low + (high - low) // np.uint32(2)
        else:
            middle = _below(sizes, high)
        middle = min(max(middle, low + np.uint32(1)), high - np.uint32(1))
        found = _from(sizes, middle)
        if found >= count and tries >= 4 and tries % 2 == 0 and found > from_high:
            return middle, count - from_high, found - from_high
        if found >= count:
            low, from_low = middle, found
        else:
            high, from_high = middle, found
        tries += 1
    return low, count - from_high, from_low - from_high


@compiled
def _among(sizes, low, high, count, few):
    """`_largest` among the few from `low` to below `high`."""
    held, whole = 0, sizes.size // _GROUP
    for k in range(whole):
        group = sizes[k * _GROUP : (k + 1) * _GROUP]
        hits = np.uint32(0)
        for i in range(_GROUP):
            hits += np.uint32(group[i] - low < high - low)
        if hits:
            held = _insert(few, held, group, low, high)
    held = _insert(few, held, sizes[whole * _GROUP :], low, high)
    size = few[count - 1]
    above, upto = 0, 0
    for i in range(held):
        above += few[i] > size
        upto += few[i] >= size
    return size, np.int64(count - above), np.int64(upto - above)


@compiled
def _insert(few, held, sizes, low, high):
    """Put those from `low` to below `high` among the few, the largest first."""
    for i in range(sizes.size):
        if sizes[i] - low < high - low:
            at = held
            while at > 0 and few[at - 1] < sizes[i]:
                few[at] = few[at - 1]
                at -= 1
            few[at] = sizes[i]
            held += 1
    return held


@compiled
def crumbs(x, sizes, first, end, hints):
    """Zero all but the ranks first..end of a row."""
    few = np.empty(_FEW, np.uint32)
    _measure(sizes, x)
    inner, inner_end, outer, outer_end = np.uint32(0), x.size, _ABOVE, 0
    if end == 0:
        inner = _ABOVE
    elif end < x.size:
        inner, ties, equal = _largest(sizes, end, hints[0], few)
        hints[0], inner_end = inner, _end_of_ties(sizes, inner, ties, equal)
    if first > 0:
        outer, ties, equal = _largest(sizes, first, hints[1], few)
        hints[1], outer_end = outer, _end_of_ties(sizes, outer, ties, equal)
    one, two = min(inner_end, outer_end), max(inner_end, outer_end)
    _keep(x[:one], sizes[:one], inner, outer)
    middle = (inner, outer + np.uint32(1)) if inner_end > outer_end else (inner + np.uint32(1), outer)
    _keep(x[one:two], sizes[one:two], *middle)
    _keep(x[two:], sizes[two:], inner + np.uint32(1), outer + np.uint32(1))


@compiled
def _keep(x, sizes, low, high):
    """Zero what is not from `low` to below `high`."""
    for i in range(x.size):
        x[i] = x[i] if sizes[i] - low < max(high, low) - low else _ZERO


@compiled
def _end_of_ties(sizes, size, ties, equal):
    """The index before which `ties` of the `equal` elements of that size lie."""
    if ties == 0:
        return 0
    if ties == equal:
        return sizes.size
    i = 0
    while i + _GROUP <= sizes.size:
        group = sizes[i : i + _GROUP]
        hits = np.uint32(0)
        for k in range(_GROUP):
            hits += np.uint32(group[k] == size)
        if np.int64(hits) >= ties:
            break
        ties -= np.int64(hits)
        i += _GROUP
    while ties > 0:
        ties -= np.int64(sizes[i] == size)
        i += 1
    return i


@compiled
def prune(x, sizes, lanes, limits, factors, order):
    """Keep the element of rank r if its lane is below limits[r], times factors[r]. `order` (2, row) is room."""
    _measure(sizes, x)
    one, two = order[0], order[1]
    for i in range(x.size):
        one[i] = i
    for shift in (np.uint32(0), np.uint32(11), np.uint32(22)):
        _pass(sizes, one, two, shift)
        one, two = two, one
    for rank in range(x.size):
        i = one[rank]
        x[i] = x[i] * factors[rank] if np.uint64(lanes[i]) < limits[rank] else _ZERO


@compiled
def _pass(sizes, given, made, shift):
    """One pass of a radix sort, the largest first, that keeps the order of equal digits."""
    starts = np.zeros(_DIGITS, np.int64)
    for i in range(sizes.size):
        starts[(~sizes[i] >> shift) & np.uint32(_DIGITS - 1)] += 1
    at = 0
    for digit in range(_DIGITS):
        here = starts[digit]
        starts[digit] = at
        at += here
    for k in range(sizes.size):
        i = given[k]
        digit = (~sizes[i] >> shift) & np.uint32(_DIGITS - 1)
        made[starts[digit]] = i
        starts[digit] += 1
