"""The one pass of an elementwise merge: bytes of the base and the models in, bytes of the merged model out."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import compiled
from deltakit.merge.kernels.codes import encode
from deltakit.merge.kernels.steps import deltas_of, elect, finite, plain_sum, scratch, step, weigh

__all__ = ["ELECT", "SUM", "combine", "count_votes"]

SUM, ELECT = 0, 1  # reducers


@compiled
def combine(out, kind, count, start, block, program, reducer, weights, numbers, after, whole):
    """Merge `count` elements, `block` at a time, into the address `out` as elements of `kind`. `numbers` = (the base's
    coefficient, scale, sign of ties); `after` holds the steps behind the reducer; `whole` leaves the base out. False
    where the election meets what is not finite."""
    members = weights.size
    codes, table = after
    room, spare = scratch(members, program[4].shape[0] + codes.size, block)
    rest, scale, tie = numbers
    for at in range(0, count, block):
        size = min(block, count - at)
        base, total = room[members][:size], room[members + 1][:size]
        deltas_of(room, members, size, spare, at, start, program)
        if reducer == SUM:
            weigh(total, room, weights)
            if rest != np.float32(0):
                for i in range(size):
                    total[i] = total[i] + base[i] * rest
        elif not elect(total, room[members + 2][:size], room[members + 3][:size], room, weights, tie, scale):
            return False
        for k in range(codes.size):
            step(total, codes[k], k, spare, start + at, table)
        if not whole:
            for i in range(size):
                total[i] = base[i] + total[i] if total[i] != np.float32(0) else base[i]
        encode(total, out, at, kind)
    return True


@compiled
def count_votes(count, start, block, members, program):
    """How many more of `count` elements have a positive than a negative sum of deltas; whether all sums are finite."""
    room, spare = scratch(members, program[4].shape[0], block)
    votes, sound = 0, True
    for at in range(0, count, block):
        size = min(block, count - at)
        total = room[members + 1][:size]
        deltas_of(room, members, size, spare, at, start, program)
        plain_sum(total, room, members)
        votes += _sign_sum(total)
        sound &= finite(total)
    return votes, sound


@compiled
def _sign_sum(total):
    found = np.int32(0)
    for i in range(total.size):
        found += np.int32(total[i] > np.float32(0)) - np.int32(total[i] < np.float32(0))
    return found
