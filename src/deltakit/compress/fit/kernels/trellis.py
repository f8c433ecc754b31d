"""The search of the best path through a trellis (Viterbi), one column at a time."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import compiled

__all__ = ["search"]


@compiled
def search(x, values, bits, start, back, codes):
    """Fill `codes` (n,) with the path whose values are nearest to x (n,): from state `start` and back to it, or with
    start < 0 from any to any. values (states,) float32; `back` (n, states >> bits) is scratch: of the states that
    reach the same ones, which was the cheapest; the first of equals."""
    ways, tails = 1 << bits, values.size >> bits
    cost, least = np.zeros(values.size, np.float32), np.empty(tails, np.float32)
    if start >= 0:
        cost[:] = np.float32(1e30)
        cost[start] = np.float32(0)
    for i in range(x.size):
        floor = np.float32(np.inf)
        for u in range(tails):
            best, way = cost[u * ways], 0
            for r in range(1, ways):
                if cost[u * ways + r] < best:
                    best, way = cost[u * ways + r], r
            least[u], back[i, u] = best, way
            floor = min(floor, best)
        for h in range(ways):
            for u in range(tails):
                off = x[i] - values[h * tails + u]
                cost[h * tails + u] = (least[u] - floor) + off * off
    state = start if start >= 0 else np.argmin(cost)
    for i in range(x.size - 1, -1, -1):
        tail = state % tails
        codes[i] = state // tails
        state = tail * ways + back[i, tail]
