"""Sums of activations under packed signs, eight signs a look-up (as T-MAC does for weights, arXiv 2407.00088).

Every byte of signs picks one of 256 sums of eight activations: 32 additions an input, once a token, and then one
addition a byte, where unpacking would make eight floats and multiply them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deltakit.delta.coding.kernels.compiled import compiled

__all__ = ["signed_sums"]


@compiled
def _tables(table: Any, x: Any) -> None:
    """table[g, byte]: the sum of x[8g .. 8g+8], those with a 0 bit negated."""
    for g in range(table.shape[0]):
        none = np.float32(0)
        for bit in range(8):
            none -= x[8 * g + bit]
        table[g, 0] = none
        for bit in range(8):
            step = np.float32(2) * x[8 * g + bit]
            for low in range(1 << bit):
                table[g, (1 << bit) + low] = table[g, low] + step


@compiled
def signed_sums(out: Any, x: Any, signs: Any) -> None:
    """out[t, r] = sum over inputs i of x[t, i], negated where bit i of row r is 0; float32 (tokens, rows), (tokens,
    8 * bytes), uint8 (rows, bytes) with the first input in the lowest bit. A row's sum depends on nothing else."""
    groups = signs.shape[1]
    table = np.empty((groups, 256), np.float32)
    even = groups // 4 * 4
    for t in range(x.shape[0]):
        _tables(table, x[t])
        for r in range(signs.shape[0]):
            a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for g in range(0, even, 4):  # four sums, so that none waits for the one before
                a += table[g, signs[r, g]]
                b += table[g + 1, signs[r, g + 1]]
                c += table[g + 2, signs[r, g + 2]]
                d += table[g + 3, signs[r, g + 3]]
            for g in range(even, groups):
                a += table[g, signs[r, g]]
            out[t, r] = (a + b) + (c + d)
