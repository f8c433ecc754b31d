"""Factors of a delta in codes, each column fitted to what the columns before it and the other factor have become.

With V quantised, the best U is the least-squares fit U* = delta V (VᵀV)⁻¹ (the closed form, for white inputs, of the
corrected target of arXiv 2506.11087). Its columns are quantised one by one, and the error of each is carried over to
those behind it, weighted by the inverse of VᵀV: GPTQ (arXiv 2210.17323) with the other factor in the place of the
activations. The same then fits V to U, and so on; at the end all singular values are fitted at once.

A coded factor is handled as its stored numbers (half-odd codes, or floats), whose columns have any length; their unit
columns are what the fits work with, and the scale of both sides goes into s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.grids import quantise
from deltakit.delta.coding.factor import Code, midrise
from deltakit.tensors import from_float32, to_float32

if TYPE_CHECKING:
    import torch

__all__ = ["carried", "code_columns", "fit_scales", "refit", "unit"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
_DAMP = 1e-6  # of the unit diagonal: two columns may be copies of one another
_COLUMNS = 32  # coded before the rest is updated, by one product


def unit(values: Float32) -> torch.Tensor:
    """The columns at length one (zero columns stay), float64, in memory that torch owns: BLAS may look at alignment."""
    import torch

    wide = torch.from_numpy(values).double()
    length = torch.linalg.vector_norm(wide, dim=0)
    return wide / torch.where(length > 0, length, 1.0)


def code_columns(target: Float32, codes: Sequence[Code]) -> Float32:
    """Every column of target (length, rank) coded by itself."""
    out = np.empty(target.shape, np.float32)
    for k, code in enumerate(codes):
        out[:, k], _ = _code(target[:, k].astype(np.float64), code)
    return out


def refit(delta: torch.Tensor, other: Float32, codes: Sequence[Code]) -> Float32:
    """The factor of the rows of delta (rows, columns) for a coded `other` (columns, rank): (rows, rank)."""
    import torch

    v = unit(other)
    gram = v.T @ v + _DAMP * torch.eye(v.shape[1], dtype=torch.float64)
    target = torch.linalg.solve(gram, (delta @ v.float()).double().T)
    upper = torch.linalg.cholesky(torch.linalg.inv(gram), upper=True)
    return carried(target.numpy(), upper, codes)


def carried(target: Float64, upper: torch.Tensor, codes: Sequence[Code]) -> Float32:
    """Code the rows of target (rank, length) in order; the error of row k, over upper[k, k], times upper[k, j] is taken
    off row j > k. `upper` is the Cholesky factor of the inverse Gram matrix. Gives (length, rank)."""
    import torch

    left, out = target.copy(), np.empty(target.shape, np.float32)
    weights = upper.numpy()
    for lo in range(0, len(left), _COLUMNS):
        hi = min(lo + _COLUMNS, len(left))
        errors = np.empty((hi - lo, left.shape[1]))
        for k in range(lo, hi):
            out[k], scale = _code(left[k], codes[k])
            errors[k - lo] = (left[k] - scale * out[k]) / weights[k, k]
            left[k + 1 : hi] -= weights[k, k + 1 : hi, None] * errors[k - lo]
        left[hi:] -= (upper[lo:hi, hi:].T.contiguous() @ torch.from_numpy(errors).clone()).numpy()
    return np.ascontiguousarray(out.T)


def fit_scales(delta: torch.Tensor, u: Float32, v: Float32) -> tuple[Float32, float]:
    """The s that brings u diag(s) v.T nearest to delta, rounded to bfloat16 as it is stored, and the squared error."""
    import torch

    left, right = unit(u), unit(v)
    gram = (left.T @ left) * (right.T @ right)
    seen = ((delta @ right.float()).double() * left).sum(dim=0)
    s = torch.linalg.solve(gram + _DAMP**2 * torch.eye(len(gram), dtype=torch.float64), seen).numpy()
    length = _lengths(u) * _lengths(v)
    stored = to_float32(from_float32((s / length).astype(np.float32), "BF16"), "BF16")
    real = torch.from_numpy(stored * length)
    total = float(torch.linalg.vector_norm(delta.double()) ** 2)
    return stored, total - 2 * float(seen @ real) + float(real @ gram @ real)


def _code(x: Float64, code: Code) -> tuple[Float32, float]:
    """The stored numbers of one column and the scale that brings them back to x."""
    if isinstance(code, int):
        codes, scale = quantise(x, code)
        return midrise(code)[codes], scale
    length = float(np.sqrt((x * x).sum())) or 1.0
    return to_float32(from_float32((x / length).astype(np.float32), code), code), length


def _lengths(values: Float32) -> Float64:
    found = np.sqrt((values.astype(np.float64) ** 2).sum(axis=0))
    return np.where(found > 0, found, 1.0)
