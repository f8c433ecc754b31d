"""The truncated SVD of a delta by the Gram matrix of its smaller side: a third of a full SVD's time, and streamable.

Float64 (the default) keeps everything: the squared singular values are good to about 1e-16 of the largest, so singular
values down to 1e-7 of the largest come out right. What lies under 2**-21 of the largest is rounding noise and is
dropped, which also finds the true rank of a LoRA. Float32 is for truncating a plain delta (eigen.py): the error of the
truncation is the least possible but for 1e-6 of it. Never for a whitened one, whose spectrum is too wide.

Singular values are the lengths of delta @ v, with v turned within its span so that U is orthogonal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.measure.eigen import leading
from deltakit.delta.measure.threads import one_thread

if TYPE_CHECKING:
    import torch

__all__ = ["NOISE", "Triplets", "batched", "left_vectors", "polar", "product", "svd", "triplets"]

Float32 = NDArray[np.float32]
Triplets = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]
NOISE = 2.0**-21
_BLOCK = 1 << 22  # elements converted at a time


def svd(delta: Float32, rank: int, double: bool = True) -> tuple[Float32, Float32, Float32]:
    """U (rows, r), s (r,) descending, V (columns, r) with r = min(rank, numerical rank). The largest entry of every
    column of V (rows >= columns; else of U) is positive, so that signs are the same on every run."""
    import torch

    with one_thread():
        found = triplets(torch.from_numpy(np.ascontiguousarray(delta)), rank, double)
        left, values, right = (f.float().numpy() for f in found)
        return left, values, right


def triplets(delta: torch.Tensor, rank: int, double: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What `svd` rounds, of a float32 or float64 matrix on any device: in float64, or without `double` in float32. Call
    it within `one_thread`."""
    return batched([delta], rank, double)[0]


def batched(deltas: Sequence[torch.Tensor], rank: int, double: bool = True) -> list[Triplets]:
    """`triplets` of matrices of one shape on one device, their eigenvectors found in one batch."""
    if not deltas or 0 in deltas[0].shape or rank < 1:
        return [_nothing(d) for d in deltas]
    if deltas[0].shape[0] < deltas[0].shape[1]:
        turned = batched([d.T for d in deltas], rank, double)
        return [(left, values, right) for right, values, left in turned]
    peaks = [_peak(d) for d in deltas]
    grams = [partial(_gram, d, peak) for d, peak in zip(deltas, peaks, strict=True)]
    found = leading(grams, deltas[0].shape[1], rank, double)
    return [_triplets(d, peak, basis) for d, peak, (_, basis) in zip(deltas, peaks, found, strict=True)]


def left_vectors(
    delta: torch.Tensor, rank: int, keep: Callable[[NDArray[np.float64]], int], double: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The leading left singular vectors U (rows, r) and singular values s (r,) of a matrix, and no more: what a fit
    starts from. `keep` says how many, given up to `rank` singular values. In float64, or without `double` in float32
    where that is safe; U is orthonormal to 1e-3. Call it within `one_thread`."""
    import torch

    if 0 in delta.shape or rank < 1:
        return _nothing(delta)[:2]
    tall = delta.shape[0] > delta.shape[1]
    matrix, peak = delta if tall else delta.T, _peak(delta)
    values, basis = leading([partial(_gram, matrix, peak)], matrix.shape[1], rank, double, share=1.0)[0]
    s = values.sqrt()
    s = s[s > NOISE * s[0]] * peak
    count = min(len(s), keep(s.double().numpy(force=True)))
    s, basis = s[:count], basis[:, :count]
    if not tall:
        return basis, s
    u = torch.cat([block @ basis for block in _blocks(matrix, peak, basis.dtype)])
    return u * (peak / s), s


def polar(columns: torch.Tensor) -> torch.Tensor:
    """The nearest to `columns` (rows, n) whose columns are orthonormal: P Qᵀ of its SVD P D Qᵀ. Float64.

    Directions whose singular value is rounding noise have no nearest and are left out, so that columns which depend on
    each other share what they span. Call it within `one_thread`.
    """
    import torch

    if 0 in columns.shape:
        return columns
    values, vectors = torch.linalg.eigh(columns.T @ columns)
    kept = values > NOISE**2 * values.max()
    vectors = vectors[:, kept]
    made: torch.Tensor = columns @ (vectors / values[kept].sqrt()) @ vectors.T
    return made


def _nothing(delta: torch.Tensor) -> Triplets:
    import torch

    shapes = ((delta.shape[0], 0), (0,), (delta.shape[1], 0))
    left, values, right = (torch.zeros(s, dtype=torch.float64, device=delta.device) for s in shapes)
    return left, values, right


def _peak(delta: torch.Tensor) -> float:
    """The largest magnitude, 1 for zeros; without a copy."""
    import torch

    least, most = torch.aminmax(delta)
    return max(-float(least), float(most)) or 1.0


def _gram(tall: torch.Tensor, peak: float, dtype: torch.dtype) -> torch.Tensor:
    """(delta / peak)ᵀ (delta / peak)."""
    import torch

    gram = torch.zeros((tall.shape[1], tall.shape[1]), dtype=dtype, device=tall.device)
    for block in _blocks(tall, peak, dtype):
        gram += block.T @ block
    return gram


def _triplets(tall: torch.Tensor, peak: float, basis: torch.Tensor) -> Triplets:
    """The singular triplets of delta within the span of an orthonormal basis (columns, r), in its dtype. Of a float64
    basis the columns are singular vectors already."""
    import torch

    u, v = torch.cat([block @ basis for block in _blocks(tall, peak, basis.dtype)]), basis
    if basis.dtype != torch.float64:
        wide = u.double()
        turn = torch.linalg.eigh(wide.T @ wide)[1].flip(1).to(basis.dtype)
        u, v = u @ turn, v @ turn
    signs = _signs(v)
    u, v = u * signs, v * signs
    s = torch.linalg.vector_norm(u, dim=0)
    order = torch.argsort(s, descending=True, stable=True)
    order = order[: int((s > NOISE * s.max()).sum())]
    return _orthonormal(u[:, order] / s[order]), s[order] * peak, v[:, order]


def _blocks(tall: torch.Tensor, peak: float, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    """delta / peak by blocks of rows, in memory that torch owns: BLAS may look at alignment. A matrix that was turned
    lies here block by block, and never as a whole."""
    step = max(1, _BLOCK // tall.shape[1])
    for lo in range(0, tall.shape[0], step):
        yield tall[lo : lo + step].contiguous().to(dtype) / peak


def _signs(v: torch.Tensor) -> torch.Tensor:
    """What turns every column so that its largest entry (the first of equals) is positive: (columns,) of 1 and -1."""
    import torch

    largest = v.gather(0, v.abs().argmax(dim=0)[None])[0]
    return torch.where(largest < 0, -1.0, 1.0).to(v.dtype)


def _orthonormal(u: torch.Tensor) -> torch.Tensor:
    """One Cholesky QR: repairs the small loss of orthogonality of the last columns."""
    import torch

    if not u.shape[1]:
        return u
    factor = torch.linalg.cholesky((u.T @ u).double(), upper=True).to(u.dtype)
    made: torch.Tensor = torch.linalg.solve_triangular(factor, u, upper=True, left=False)
    return made


def product(left: torch.Tensor, right: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`triplets` of left @ rightᵀ, from its factors (rows, r) and (columns, r) alone: their QR, and the SVD of a small
    matrix. Call it within `one_thread`."""
    import torch

    (first, upper), (second, lower) = (torch.linalg.qr(side.double()) for side in (left, right))
    u, s, v = triplets(upper @ lower.T, rank)
    return first @ u, s, second @ v
