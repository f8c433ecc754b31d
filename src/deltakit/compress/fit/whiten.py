"""What the inputs of a matrix weigh: the damped second moments, their Cholesky factor, and the SVD for the outputs.

The best rank-r matrix for the outputs is the truncated SVD of delta @ M with H = M Mᵀ (SVD-LLM, arXiv 2403.07378; QERA,
arXiv 2410.06040). With its left vectors U it is U Uᵀ delta, so M is never inverted and H may be singular.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.carry import unrolled
from deltakit.compress.hessian import Hessian
from deltakit.delta.measure.decompose import left_vectors, triplets
from deltakit.delta.measure.iterate import right_vectors
from deltakit.errors import InputError, MismatchError

if TYPE_CHECKING:
    import torch

__all__ = ["Inputs", "start", "whitened_svd"]

Float64 = NDArray[np.float64]
_LEAST, _MOST = 0.03, 3.0  # damping that is chosen
_FLOOR = 1e-3  # of the damping of a middling input: what an input that never fired weighs


@dataclass(frozen=True, eq=False)
class Inputs:
    """Damped second moments `gram` (inputs, inputs), float64. `order` sorts the inputs by weight, largest first, as
    GPTQ codes them (act-order); `root` is M upper, gram in that order = M Mᵀ; `shares` as in `carry.shares`.
    `weights` (inputs,), in that order: what an error weighs when the inputs behind it make good what they can."""

    gram: torch.Tensor
    order: NDArray[np.int64]
    root: torch.Tensor
    shares: Float64
    weights: Float64

    @classmethod
    def of(cls, hessian: Hessian, damp: float = 0.0, device: str = "cpu") -> Inputs:
        """Every input is damped in proportion to its own energy: by a share of the mean, as GPTQ does it, a few
        outliers of 1e8 times the energy would drown all others. `damp` 0 is the number of inputs over that of samples,
        0.03 to 3: on inputs that were not seen it is at or near the best at any number of samples, where 0.01 leaves up
        to 1.5 times the error (bench/results/compress_synthetic.md)."""
        import torch

        energy = np.diag(hessian.gram).astype(np.float64)
        damp = damp or min(max(_LEAST, len(energy) / hessian.rows if hessian.rows else 0.0), _MOST)
        if not np.isfinite(hessian.gram).all() or (energy < 0).any():
            raise InputError("a Hessian is not finite", remedy="calibrate again; inputs of a layer overflowed")
        fired = energy[energy > 0]
        middle = float(np.median(fired)) if fired.size else 1.0
        gram = torch.from_numpy(hessian.gram).to(device, torch.float64, copy=True)
        gram.diagonal().add_(torch.from_numpy(damp * (energy + _FLOOR * middle)).to(device))
        order = np.argsort(-energy, kind="stable")
        at = torch.from_numpy(order).to(device)
        sorted_ = gram[at][:, at]
        root = torch.linalg.cholesky(((sorted_ + sorted_.T) / 2).flip(0, 1)).flip(0, 1).contiguous()
        return cls(gram, order, root, unrolled(root), (torch.diagonal(root) ** 2).numpy(force=True))

    def weigh(self, delta: torch.Tensor) -> torch.Tensor:
        """delta (rows, inputs) @ gram."""
        return self._fit(delta) @ self.gram

    def whiten(self, delta: torch.Tensor) -> torch.Tensor:
        """delta (rows, inputs) @ M, inputs in order: its squared norm is the squared norm of the outputs."""
        import torch

        return self._fit(delta)[:, torch.from_numpy(self.order).to(delta.device)] @ self.root

    def _fit(self, delta: torch.Tensor) -> torch.Tensor:
        if delta.shape[1] != len(self.gram):
            raise MismatchError(
                f"a Hessian of {len(self.gram)} inputs for a matrix {tuple(delta.shape)} of {delta.shape[1]}",
                remedy="calibrate with the model that the delta belongs to",
            )
        return delta.double()


def start(
    delta: torch.Tensor, inputs: Inputs | None, rank: int, keep: Callable[[Float64], int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """deltaᵀ U (columns, r), its columns of any length, and s of `whitened_svd`, of which `keep` wants so many, given
    up to `rank` singular values: what a fit starts from. Without `inputs` they are near to that only
    (iterate.py). Call it within `one_thread`."""
    if inputs is None:
        return right_vectors(delta, rank, keep)
    u, s = left_vectors(inputs.whiten(delta), rank, keep, double=True)
    return delta.double().T @ u, s


def whitened_svd(
    delta: torch.Tensor, inputs: Inputs | None, rank: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """U (rows, r) orthonormal, s (r,) descending and V (inputs, r), float64, with U diag(s) Vᵀ the best matrix of rank
    r in the outputs' norm. Without `inputs` the plain SVD, in float32 where that is safe. Call it within
    `one_thread`."""
    import torch

    if inputs is None:
        u, s, v = triplets(delta, rank, double=False)
        return u.double(), s.double(), v.double()
    u, s, _ = triplets(inputs.whiten(delta), rank)
    return u, s, (delta.double().T @ u) / torch.where(s > 0, s, 1.0)
