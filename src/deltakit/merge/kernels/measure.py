"""Passes that measure deltas without ever holding them: magnitudes around a rank, and inner products.

A magnitude is the bits of a float32 without its sign, which are in the order of the magnitudes.
"""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import as_bits, compiled
from deltakit.merge.kernels.steps import BLOCK, deltas_of, finite, scratch

__all__ = ["BIN_BITS", "BINS", "add_products", "count_bins", "count_bracket"]

BIN_BITS = 15  # a bin holds the magnitudes that agree in all but so many bits: 8 bits of mantissa set bins apart
BINS = 1 << (31 - BIN_BITS)
_SIZE = np.uint32(0x7FFFFFFF)
_INFINITY, _NONE = np.uint32(0x7F800000), np.uint32(0xFFFFFFFF)
_GROUP = 64  # elements of which mostly none lies in the bracket


@compiled
def count_bins(counts, count, start, members, program, stride):
    """Count the magnitudes of every `stride`-th block of each member's delta into `counts` (members, BINS). False where
    one is not finite."""
    room, spare = scratch(members, program[4].shape[0], BLOCK)
    for at in range(0, count, BLOCK * stride):
        size = min(BLOCK, count - at)
        deltas_of(room, members, size, spare, at, start, program)
        for j in range(members):
            x, found = room[j][:size], counts[j]
            if not finite(x):
                return False
            for i in range(size):
                found[(as_bits(x[i]) & _SIZE) >> np.uint32(BIN_BITS)] += 1
    return True


@compiled
def count_bracket(below, table, lows, width, count, start, members, program):
    """For each member count the magnitudes under its `lows` into `below`, and those of the `width` patterns from there
    on, one by one, into `table` (members, width). False where a delta is not finite."""
    room, spare = scratch(members, program[4].shape[0], BLOCK)
    sizes = np.empty(BLOCK, np.uint32)
    for at in range(0, count, BLOCK):
        size = min(BLOCK, count - at)
        deltas_of(room, members, size, spare, at, start, program)
        for j in range(members):
            under, wrong = _sizes(sizes, room[j][:size], lows[j])
            if wrong:
                return False
            below[j] += under
            _look(table[j], sizes, lows[j], np.uint32(width))
    return True


@compiled
def _sizes(sizes, x, low):
    """Fill in the magnitudes; how many are under `low`, and how many not finite."""
    under, wrong = np.uint32(0), np.uint32(0)
    for i in range(x.size):
        size = as_bits(x[i]) & _SIZE
        sizes[i] = size
        under += np.uint32(size < low)
        wrong += np.uint32(size >= _INFINITY)
    for i in range(x.size, BLOCK):
        sizes[i] = _NONE
    return under, wrong


@compiled
def _look(table, sizes, low, width):
    """Count what lies in the bracket; groups without any are passed over."""
    for at in range(0, BLOCK, _GROUP):
        hits = np.uint32(0)
        for i in range(at, at + _GROUP):
            hits += np.uint32(sizes[i] - low < width)
        if hits:
            for i in range(at, at + _GROUP):
                if sizes[i] - low < width:
                    table[sizes[i] - low] += 1


@compiled
def add_products(lanes, count, program):
    """Add the products of a = base and b = a + delta, in float64, to `lanes` (3, BLOCK): a * a, a * b and b * b of
    element i go to lane i % BLOCK, in order."""
    room, spare = scratch(1, program[4].shape[0], BLOCK)
    aa, ab, bb = lanes[0], lanes[1], lanes[2]
    for at in range(0, count, BLOCK):
        size = min(BLOCK, count - at)
        deltas_of(room, 1, size, spare, at, 0, program)
        x, base = room[0][:size], room[1][:size]
        for i in range(size):
            a = np.float64(base[i])
            b = a + np.float64(x[i])
            aa[i] += a * a
            ab[i] += a * b
            bb[i] += b * b
