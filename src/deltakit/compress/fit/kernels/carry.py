"""Codes in order, each error carried over to what is still to be coded (GPTQ's inner loop, along one or two sides).

Grids are mid-rise as in `deltakit.compress.fit.grids`, whose scale search `search` repeats in one pass per start. A row
of 0 bits is a float that keeps its value and has no error.
"""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import compiled

__all__ = ["code_rows", "code_tile", "search", "search_weighted"]


@compiled
def _fit(y, scale, half):
    """For the codes c of y at `scale`: the sums of c*y and of c*c. Four sums each, so that the adder is kept busy."""
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
    inverse, top, whole = 1.0 / scale, half - 1.0, y.size // 4 * 4
    for i in range(0, whole, 4):
        c0 = min(max(np.floor(y[i] * inverse), -half), top) + 0.5
        c1 = min(max(np.floor(y[i + 1] * inverse), -half), top) + 0.5
        c2 = min(max(np.floor(y[i + 2] * inverse), -half), top) + 0.5
        c3 = min(max(np.floor(y[i + 3] * inverse), -half), top) + 0.5
        a0, a1, a2, a3 = a0 + c0 * y[i], a1 + c1 * y[i + 1], a2 + c2 * y[i + 2], a3 + c3 * y[i + 3]
        b0, b1, b2, b3 = b0 + c0 * c0, b1 + c1 * c1, b2 + c2 * c2, b3 + c3 * c3
    for i in range(whole, y.size):
        c = min(max(np.floor(y[i] * inverse), -half), top) + 0.5
        a0, b0 = a0 + c * y[i], b0 + c * c
    return (a0 + a1) + (a2 + a3), (b0 + b1) + (b2 + b3)


@compiled
def search(x, bits, step, around, inside):
    """The scale of a vector: many starts, each replaced once by the best scale for its codes. 0 for a zero vector."""
    peak = 0.0
    for i in range(x.size):
        peak = max(peak, abs(x[i]))
    if peak < 1e-278:
        return 0.0
    y, half, total = np.empty(x.size), float(1 << (bits - 1)), 0.0
    for i in range(x.size):
        y[i] = x[i] / peak
        total += y[i] * y[i]
    rms, best, least = np.sqrt(total / x.size), 0.0, np.inf
    for k in range(around.size + inside.size if bits > 1 else 1):  # codes of one bit are signs, whatever the start
        scale = rms * step * around[k] if k < around.size else inside[k - around.size] / (half - 0.5)
        seen, length = _fit(y, scale, half)
        if seen > 0:
            scale = seen / length
        seen, length = _fit(y, scale, half)
        error = total - 2 * scale * seen + scale * scale * length
        if error < least:
            best, least = scale, error
    return best * peak


@compiled
def search_weighted(x, weights, bits, step, around, inside):
    """`search` for errors that weigh differently: each start is improved twice."""
    peak = 0.0
    for i in range(x.size):
        peak = max(peak, abs(x[i]))
    if peak < 1e-278:
        return 0.0
    half, total, whole = float(1 << (bits - 1)), 0.0, 0.0
    for i in range(x.size):
        total += weights[i] * (x[i] / peak) * (x[i] / peak)
        whole += weights[i]
    rms, best, least = np.sqrt(total / whole), 0.0, np.inf
    for k in range(around.size + inside.size):
        scale = rms * step * around[k] if k < around.size else inside[k - around.size] / (half - 0.5)
        for _ in range(3):
            seen = length = 0.0
            inverse = 1.0 / max(scale, 1e-300)
            for i in range(x.size):
                y = x[i] / peak
                code = min(max(np.floor(y * inverse), -half), half - 1.0) + 0.5
                seen += weights[i] * code * y
                length += weights[i] * code * code
            error = total - 2 * scale * seen + scale * scale * length
            if error < least:
                best, least = scale, error
            scale = seen / length if seen > 0 else scale
    return best * peak


@compiled
def code_rows(left, rank, bits, steps, around, inside, out):
    """Code the rows of `left` (rank, length) one by one, each with a scale found when its turn comes; its error, times
    rank[k, m], is taken off row m > k. `out` gets the codes' numbers; `left` becomes the errors."""
    for k in range(left.shape[0]):
        row, made = left[k], out[k]
        if bits[k] == 0:
            made[:] = row
            row[:] = 0.0
            continue
        scale, half = search(row, bits[k], steps[bits[k]], around, inside), float(1 << (bits[k] - 1))
        for j in range(row.size):
            made[j] = min(max(np.floor(row[j] / scale), -half), half - 1.0) + 0.5 if scale > 0 else 0.5
            row[j] -= scale * made[j]
        for m in range(k + 1, left.shape[0]):
            weight = rank[k, m]
            for j in range(row.size):
                left[m, j] -= weight * row[j]


@compiled
def code_tile(left, before, rank, column, scale, bits, out, own):
    """Code a tile (ranks, columns) along both sides. `before` is what the columns to the left of the tile carry into
    it, along each row; column[j, i] is the share of column j's error that column i > j takes, rank[k, m] that of rank
    k which rank m > k takes. `out` gets the codes' numbers, `own` every code's own error; `left` becomes the errors
    against what each row was before it carried anything to itself: that is what the other ranks take."""
    for k in range(left.shape[0]):
        half, s = float(1 << max(bits[k] - 1, 0)), scale[k]
        work = left[k] - before[k]
        for j in range(work.size):
            if bits[k] == 0:
                out[k, j], own[k, j] = work[j], 0.0
                left[k, j] -= work[j]
                continue
            code = min(max(np.floor(work[j] / s), -half), half - 1.0) + 0.5 if s > 0 else 0.5
            error = work[j] - s * code
            out[k, j], own[k, j] = code, error
            left[k, j] -= s * code
            for i in range(j + 1, work.size):
                work[i] -= error * column[j, i]
        for m in range(k + 1, left.shape[0]):
            weight = rank[k, m]
            for j in range(work.size):
                left[m, j] -= weight * left[k, j]
