"""Right singular vectors that are good enough to start a fit from, by block iteration with the Gram matrix: half the
time of its eigenvectors.

A fit turns its factors further than a rough start is off: the error of a fit grows by half a percent at most
(bench/results/compress_speed.md). Where the iteration would not do (a small matrix, most directions wanted or more than
were looked for, a spectrum too wide for float32): `left_vectors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.measure.decompose import left_vectors

if TYPE_CHECKING:
    import torch

__all__ = ["right_vectors"]

Keep = Callable[[NDArray[np.float64]], int]

_STEPS = 2
_LOOKED = 0.85  # of the directions that may be wanted: budgets are seldom spent on the cheapest ranks alone
_MOST = 0.5  # of all directions: above, all eigenvectors come at the same price
_LEAST = 256  # directions in all
_SURE = 0.95  # of those looked for: the last ones have not settled
_SAFE = 2e-5  # kept over largest eigenvalue: below, float32 has lost the direction


def right_vectors(delta: torch.Tensor, rank: int, keep: Keep) -> tuple[torch.Tensor, torch.Tensor]:
    """About the leading right singular vectors (columns, r) of a float32 matrix, each of any length, and singular
    values (r,), descending. `keep` says how many, given up to `rank` singular values; with the vectors, deltaᵀ U for
    orthonormal U, starts a fit. Call it within `one_thread`."""
    size = min(delta.shape)
    looked = int(_LOOKED * min(rank, size))
    if size >= _LEAST and 0 < looked <= _MOST * size:
        found = _iterated(delta, looked, keep)
        if found is not None:
            return found
    return left_vectors(delta.T, rank, keep)


def _iterated(delta: torch.Tensor, looked: int, keep: Keep) -> tuple[torch.Tensor, torch.Tensor] | None:
    """None where the outcome cannot be trusted."""
    import torch

    peak = float(delta.abs().max()) or 1.0
    scaled = delta / peak
    tall = delta.shape[0] >= delta.shape[1]
    gram = scaled.T @ scaled if tall else scaled @ scaled.T
    basis = torch.randn((len(gram), looked), generator=torch.Generator().manual_seed(0)).to(delta.device)
    for _ in range(_STEPS):
        basis = torch.linalg.qr(gram @ basis)[0]
    image = gram @ basis
    small = basis.T @ image
    values, turn = torch.linalg.eigh((small + small.T) / 2)
    values = values.flip(0).clamp_min(0)
    s = values.sqrt() * peak
    count = keep(s.double().numpy(force=True))
    if not 0 < count <= _SURE * looked or not float(values[count - 1]) >= _SAFE * float(values[0]):
        return None
    vectors = image @ turn.flip(1)[:, :count]  # a step more
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=0)
    return (vectors if tall else scaled.T @ vectors), s[:count]
