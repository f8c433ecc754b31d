"""Task Singular Vectors (Gargiulo et al., 2024, arXiv 2412.00081, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from deltakit.delta.measure.decompose import polar, triplets
from deltakit.merge.reduce.per_matrix import PerMatrix

if TYPE_CHECKING:
    import torch

__all__ = ["SingularVectors"]


@dataclass(frozen=True)
class SingularVectors(PerMatrix):
    """With delta_i = U_i S_i V_iᵀ cut to its first k = floor(min(m, n) / N) triplets, U = [U_1 ... U_N], V = [V_1 ...
    V_N], S = diag(S_1, ..., S_N): merged = polar(U) S polar(V)ᵀ, where polar takes the nearest orthonormal columns."""

    identity: ClassVar[bool] = True

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone delta keeps all its triplets, which are orthonormal."""
        return tuple(weights) if len(weights) == 1 else None

    def combine(self, deltas: Sequence[torch.Tensor]) -> torch.Tensor:
        """polar(U) S polar(V)ᵀ."""
        import torch

        kept = min(deltas[0].shape) // len(deltas)
        found = [triplets(d, kept) for d in deltas]
        left, values, right = (torch.cat([f[i] for f in found], dim=-1) for i in range(3))
        return (polar(left) * values) @ polar(right).T
