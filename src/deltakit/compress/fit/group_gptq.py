"""GPTQ (arXiv 2210.17323) on grouped grids: what a code gets wrong in one input, the inputs behind it make good.

Scales are those of the plain search and found before the first code, whatever the order of the inputs, so that the file
needs no order ("static groups"). Inputs come by falling energy, with the damping of `whiten.Inputs`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.groups import quantise_mixed
from deltakit.compress.fit.whiten import Inputs
from deltakit.compress.hessian import Hessian
from deltakit.delta.coding.grid import middle
from deltakit.delta.coding.packing import Codes
from deltakit.delta.measure.threads import one_thread

__all__ = ["carried_share", "quantise_for"]

Float32 = NDArray[np.float32]
_BLOCK = 64  # inputs coded before the rest is updated, by one product


def quantise_for(
    rows: Float32, widths: NDArray[np.int64], group: int, zero: bool, hessian: Hessian
) -> tuple[Codes, Float32]:
    """`quantise_mixed` for inputs with these moments: codes (rows, columns), scales (rows, ceil(columns / group))."""
    _, scales = quantise_mixed(rows, widths, group, zero)
    off = np.array([middle(int(b), zero) for b in widths], np.float32)[:, None]
    top = ((1 << widths) - 1).astype(np.float32)[:, None]
    spread = np.repeat(scales, group, axis=1)[:, : rows.shape[1]]
    with one_thread():
        inputs = Inputs.of(hessian)
        if hessian.axis == 1:
            codes = _carried(rows.T, spread.T, off.T, top.T, inputs).T
        else:
            codes = _carried(rows, spread, off, top, inputs)
    return np.ascontiguousarray(codes), scales


def carried_share(hessian: Hessian) -> float:
    """What is left of the error of plain rounding when errors are carried: with even noise on all codes it falls from
    the trace of H to that of M², M the diagonal of H's Cholesky factor. Good to a third, too high at many bits."""
    with one_thread():
        inputs = Inputs.of(hessian)
        return float(inputs.root.diagonal().square().sum() / inputs.gram.diagonal().sum())


def _carried(target: Float32, scales: Float32, off: Float32, top: Float32, inputs: Inputs) -> Codes:
    """Codes (inputs, outputs) of target, both in the order of the matrix; `off` is the middle of the grid and `top` its
    last code, of every input or every output."""
    import torch

    order, share = inputs.order, inputs.shares.astype(np.float32)
    left, step = np.ascontiguousarray(target[order]), np.ascontiguousarray(scales[order])
    with np.errstate(divide="ignore"):
        inverse = np.where(step != 0, np.float32(1) / step, np.float32(0))
    off, top = (np.broadcast_to(x, (len(left), x.shape[1]))[order] for x in (off, top))
    codes = np.empty(left.shape, np.uint8)
    for lo in range(0, len(left), _BLOCK):
        hi = min(lo + _BLOCK, len(left))
        errors = np.empty((hi - lo, left.shape[1]), np.float32)
        for k in range(lo, hi):
            codes[k] = np.clip(left[k] * inverse[k] + (off[k] + np.float32(0.5)), 0, top[k])  # cut off, so rounded
            errors[k - lo] = left[k] - (codes[k] - off[k]) * step[k]
            left[k + 1 : hi] -= share[k, k + 1 : hi, None] * errors[k - lo]
        behind = torch.from_numpy(np.ascontiguousarray(share[lo:hi, hi:].T)).clone()
        left[hi:] -= (behind @ torch.from_numpy(errors).clone()).numpy()
    out = np.empty_like(codes)
    out[order] = codes
    return out
