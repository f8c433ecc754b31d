"""The best scales of a matrix of signs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.hessian import Hessian
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.sign import Axis, scale_shape

__all__ = ["best_scales", "mean_scales"]

Float64 = NDArray[np.float64]


def mean_scales(rows: Float32, mask: NDArray[np.bool_] | None, axis: Axis) -> Float32:
    """Mean magnitudes of the elements that have a sign, in `scale_shape`: the least squares of the weights (BitDelta,
    arXiv 2402.10193)."""
    shape = scale_shape((rows.shape[0], rows.shape[1]), axis)
    over = {"scalar": (0, 1), "row": (1,), "column": (0,)}[axis]
    total = np.abs(rows).sum(axis=over, dtype=np.float64).reshape(shape)
    count = rows.size / max(1, shape[0] * shape[1]) if mask is None else mask.sum(axis=over).reshape(shape)
    return np.asarray(total / np.maximum(count, 1), np.float32)


def best_scales(rows: Float32, signs: Float32, axis: Axis, hessian: Hessian) -> Float32:
    """The least squares of the outputs: a = <D, S> / <S, S> in the inner product of the Hessian, for the whole matrix
    or for each output; for scales per input the normal equations (SᵀS * H) a = diag(SᵀDH). Where they have no answer,
    the mean magnitude."""
    import torch

    with one_thread():
        facing, plus = (torch.from_numpy(np.ascontiguousarray(x if hessian.axis == 1 else x.T)) for x in (rows, signs))
        gram, wide = torch.from_numpy(hessian.gram).clone(), plus.double()
        seen = (facing.double() @ gram) * wide
        if axis != "scalar" and (axis == "column") == (hessian.axis == 1):
            normal = (wide.T @ wide) * gram
            normal.diagonal().add_(1e-9 * float(normal.diagonal().mean()) + 1e-300)
            found = torch.linalg.solve(normal, seen.sum(dim=0))
        else:
            own = (wide @ gram) * wide
            found = seen.sum() / own.sum() if axis == "scalar" else seen.sum(dim=1) / own.sum(dim=1)
    plain = mean_scales(rows, signs != 0, axis)
    made: Float64 = found.numpy().reshape(plain.shape)
    return np.asarray(np.where(np.isfinite(made), made, plain), np.float32)
