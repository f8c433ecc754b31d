"""Codes from the last rank to the first, each fed to those before it (the inner loop of decision feedback)."""

from __future__ import annotations

import numpy as np

from deltakit.compress.fit.kernels.carry import search
from deltakit.delta.coding.kernels.compiled import compiled

__all__ = ["code_back"]


@compiled
def code_back(left, lower, bits, steps, around, inside, out):
    """Code the rows of `left` (rank, length), the last first: row k over lower[k, k] is what it should be; what it
    became, times lower[k, m], is taken off row m < k. `out` gets the codes' numbers, `left` what the rows became: the
    numbers times a scale. A row of 0 bits is a float and keeps its value."""
    for k in range(left.shape[0] - 1, -1, -1):
        row, made, own = left[k], out[k], lower[k, k]
        for j in range(row.size):
            row[j] /= own
        if bits[k] == 0:
            made[:] = row
        else:
            scale, half = search(row, bits[k], steps[bits[k]], around, inside), float(1 << (bits[k] - 1))
            for j in range(row.size):
                made[j] = min(max(np.floor(row[j] / scale), -half), half - 1.0) + 0.5 if scale > 0 else 0.5
                row[j] = scale * made[j]
        for m in range(k):
            weight = lower[k, m]
            for j in range(row.size):
                left[m, j] -= weight * row[j]
