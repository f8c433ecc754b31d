"""The truncated SVD of a delta by its Gram matrix in float64: as accurate as a float32 SVD, no slower, and streamable.

The squared singular values of a float64 Gram matrix are good to about 1e-16 of the largest, so singular values down to
1e-7 of the largest come out right. What lies under 2**-21 of the largest is rounding noise and is dropped, which also
finds the true rank of a LoRA. Singular values are the lengths of delta @ v, and U is made orthonormal by Cholesky.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.measure.threads import one_thread

if TYPE_CHECKING:
    import torch

__all__ = ["NOISE", "polar", "product", "svd", "triplets"]

Float32 = NDArray[np.float32]
NOISE = 2.0**-21
_BLOCK = 1 << 22  # elements converted to float64 at a time


def svd(delta: Float32, rank: int) -> tuple[Float32, Float32, Float32]:
    """U (rows, r), s (r,) descending, V (columns, r) with r = min(rank, numerical rank). The largest entry of every
    column of V (rows >= columns; else of U) is positive, so that signs are the same on every run."""
    import torch

    with one_thread():
        found = triplets(torch.from_numpy(np.ascontiguousarray(delta)), rank)
        left, values, right = (f.float().numpy() for f in found)
        return left, values, right


def triplets(delta: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What `svd` rounds: float64 tensors, of a float32 or float64 matrix. Call it within `one_thread`."""
    if delta.shape[0] < delta.shape[1]:
        right, values, left = triplets(delta.T.contiguous(), rank)
        return left, values, right
    return _tall(delta, rank) if 0 not in delta.shape and rank > 0 else _nothing(delta)


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


def _nothing(delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    left, values, right = (torch.zeros(s, dtype=torch.float64) for s in ((len(delta), 0), (0,), (delta.shape[1], 0)))
    return left, values, right


def _tall(tall: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """By the eigenvectors of the smaller Gram matrix."""
    import torch

    peak = float(tall.abs().max()) or 1.0
    gram = torch.zeros((tall.shape[1], tall.shape[1]), dtype=torch.float64)
    for block in _blocks(tall, peak):
        gram += block.T @ block
    _, vectors = torch.linalg.eigh(gram)
    top = torch.arange(len(gram) - 1, -1, -1)[: min(rank, len(gram))]
    v = _signed(vectors[:, top])
    u = torch.cat([block @ v for block in _blocks(tall, peak)])
    s = torch.linalg.vector_norm(u, dim=0)
    order = torch.argsort(s, descending=True, stable=True)
    order = order[: int((s > NOISE * s.max()).sum())]
    return _orthonormal(u[:, order] / s[order]), s[order] * peak, v[:, order]


def _blocks(tall: torch.Tensor, peak: float) -> Iterator[torch.Tensor]:
    """delta / peak by blocks of rows, float64, in memory that torch owns: BLAS may look at alignment."""
    step = max(1, _BLOCK // tall.shape[1])
    for lo in range(0, tall.shape[0], step):
        yield tall[lo : lo + step].double() / peak


def _signed(v: torch.Tensor) -> torch.Tensor:
    """Every column turned so that its largest entry (the first of equals) is positive."""
    import torch

    largest = v.abs().argmax(dim=0)
    return v * torch.where(v.gather(0, largest[None]) < 0, -1.0, 1.0)


def _orthonormal(u: torch.Tensor) -> torch.Tensor:
    """One Cholesky QR: repairs the small loss of orthogonality of the last columns."""
    import torch

    if not u.shape[1]:
        return u
    factor = torch.linalg.cholesky(u.T @ u, upper=True)
    made: torch.Tensor = torch.linalg.solve_triangular(factor, u, upper=True, left=False)
    return made


def product(left: torch.Tensor, right: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`triplets` of left @ rightᵀ, from its factors (rows, r) and (columns, r) alone: their QR, and the SVD of a small
    matrix. Call it within `one_thread`."""
    import torch

    (first, upper), (second, lower) = (torch.linalg.qr(side.double()) for side in (left, right))
    u, s, v = triplets(upper @ lower.T, rank)
    return first @ u, s, second @ v
