"""Isotropic merging (Marczak et al., 2025, arXiv 2502.04959): all directions of the merged delta get one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltakit.delta.measure.decompose import NOISE, polar, triplets
from deltakit.errors import RecipeError
from deltakit.merge.reduce.per_matrix import PerMatrix

if TYPE_CHECKING:
    import torch

__all__ = ["Isotropic", "IsotropicSubspaces"]


@dataclass(frozen=True)
class Isotropic(PerMatrix):
    """Iso-C (section 4.1): sum of delta_i = U S Vᵀ becomes mean(S) U Vᵀ. The mean goes over the numerical rank of the
    sum, all of min(m, n) for deltas of full rank: the directions beyond it are no one's."""

    def combine(self, deltas: Sequence[torch.Tensor]) -> torch.Tensor:
        """mean(S) U Vᵀ."""
        left, values, right = triplets(_sum(deltas), min(deltas[0].shape))
        return values.mean() * (left @ right.T) if len(values) else _sum(deltas)


@dataclass(frozen=True)
class IsotropicSubspaces(PerMatrix):
    """Iso-CTS (section 4.2, algorithm 2): the common subspace is spanned by the first c triplets of the sum of deltas,
    of rank r; each task adds the first s = round((r - floor(common * r)) / N) triplets of delta_i - U_c U_cᵀ delta_i,
    and c = r - N s. All of them side by side, made orthonormal, get the mean of their singular values as length."""

    common: float = 0.8

    def __post_init__(self) -> None:
        if not 0.0 <= self.common <= 1.0:
            raise RecipeError(f"common {self.common} is not in [0, 1]", remedy="give the share of common directions")

    def combine(self, deltas: Sequence[torch.Tensor]) -> torch.Tensor:
        """mean(S) polar(U) polar(V)ᵀ."""
        import torch

        left, values, right = triplets(_sum(deltas), min(deltas[0].shape))
        rank = len(values)
        own = min(round((rank - int(self.common * rank)) / len(deltas)), rank // len(deltas))
        shared = rank - own * len(deltas)
        found = [_specific(d, left[:, :shared], own) for d in deltas]
        found.append((left[:, :shared], values[:shared], right[:, :shared]))
        left, values, right = (torch.cat([f[i] for f in found], dim=-1) for i in range(3))
        return values.mean() * (polar(left) @ polar(right).T) if len(values) else _sum(deltas)


def _specific(delta: torch.Tensor, common: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first triplets of what of a delta lies beyond the common subspace, rounding noise left out."""
    left, values, right = triplets(delta - common @ (common.T @ delta), count)
    kept = values > NOISE * delta.norm()
    return left[:, kept], values[kept], right[:, kept]


def _sum(deltas: Sequence[torch.Tensor]) -> torch.Tensor:
    total = deltas[0]
    for delta in deltas[1:]:
        total = total + delta
    return total
