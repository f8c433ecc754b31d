"""GPTQ as its paper and tools have it (arXiv 2210.17323): asymmetric min-max grids per group of a row, inputs by
falling energy, damping by a share of the mean. The faithful reference for `carry.py`.

Groups are those of the matrix as it is stored, and their grids are found before the first code, so that the order of
the inputs needs no index in the file ("static groups").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.carry import shares
from deltakit.delta.coding.minmax import MinMax

if TYPE_CHECKING:
    import torch

__all__ = ["gptq", "grids"]

Float64 = NDArray[np.float64]
_BLOCK = 128


def grids(values: Float64, bits: int, group: int) -> tuple[Float64, Float64]:
    """Scales (rounded to float16, as stored) and zeros, (rows, groups), of min-max grids that contain 0."""
    starts = np.arange(0, values.shape[1], group)
    low = np.minimum(np.minimum.reduceat(values, starts, axis=1), 0.0)
    high = np.maximum(np.maximum.reduceat(values, starts, axis=1), 0.0)
    flat = (low == 0) & (high == 0)
    low, high = np.where(flat, -1.0, low), np.where(flat, 1.0, high)
    least = float(np.finfo(np.float16).smallest_subnormal)
    scale = np.maximum((high - low) / ((1 << bits) - 1), least).astype(np.float16).astype(np.float64)
    return scale, np.clip(np.round(-low / scale), 0, (1 << bits) - 1)


def gptq(values: Float64, gram: torch.Tensor | None, bits: int, group: int, damp: float = 0.01) -> MinMax:
    """Rows of values (rows, inputs) coded so that the outputs of inputs with second moments `gram` (inputs, inputs)
    change little; without them to the nearest."""
    scale, zero = grids(values, bits, group)
    spread = np.repeat(np.arange(scale.shape[1]), group)[: values.shape[1]]
    step, middle, top = scale[:, spread], zero[:, spread], (1 << bits) - 1
    if gram is None:
        codes = np.clip(np.round(values / step) + middle, 0, top)
    else:
        codes = _coded(values.copy(), gram.clone(), step, middle, top, damp)
    return MinMax.of(codes.astype(np.uint8), zero.astype(np.uint8), scale, group, bits)


def _coded(left: Float64, gram: torch.Tensor, step: Float64, middle: Float64, top: int, damp: float) -> Float64:
    """The column loop, updates by blocks."""
    import torch

    energy = torch.diagonal(gram)
    dead = energy <= 0
    energy[dead] = 1.0
    left[:, dead.numpy()] = 0.0
    energy += damp * energy.mean()
    order = torch.argsort(energy, descending=True, stable=True)
    share, at = shares(gram[order][:, order]), order.numpy()
    left, step, middle = left[:, at], step[:, at], middle[:, at]
    codes = np.empty_like(left)
    for lo in range(0, left.shape[1], _BLOCK):
        hi = min(lo + _BLOCK, left.shape[1])
        errors = np.empty((len(left), hi - lo))
        for j in range(lo, hi):
            codes[:, j] = np.clip(np.round(left[:, j] / step[:, j]) + middle[:, j], 0, top)
            errors[:, j - lo] = left[:, j] - step[:, j] * (codes[:, j] - middle[:, j])
            left[:, j + 1 : hi] -= errors[:, j - lo, None] * share[j, j + 1 : hi]
        behind = torch.from_numpy(np.ascontiguousarray(share[lo:hi, hi:])).clone()
        left[:, hi:] -= (torch.from_numpy(errors).clone() @ behind).numpy()
    out = np.empty_like(codes)
    out[:, at] = codes
    return out
