"""Centred low-rank merging (Choi et al., 2024, arXiv 2412.12153)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from deltakit.delta.measure.decompose import triplets
from deltakit.errors import RecipeError
from deltakit.merge.method import Needs
from deltakit.merge.reduce.per_matrix import PerMatrix

if TYPE_CHECKING:
    import torch

__all__ = ["Centered"]


@dataclass(frozen=True)
class Centered(PerMatrix):
    """mean + lambda * sum of SVD_k(w_i (model_i - mean)), with the mean weighted and k = ceil(rank * min(m, n)); what
    is no matrix becomes the mean. It shifts with the models, so deltas over any base will do."""

    needs: ClassVar[Needs] = "models"
    rank: float = 0.04

    def __post_init__(self) -> None:
        if not 0.0 < self.rank <= 1.0:
            raise RecipeError(f"rank {self.rank} is not in (0, 1]", remedy="give the share of directions that is kept")

    def check(self, weights: Sequence[float]) -> None:
        """Weights to divide by must not cancel."""
        if abs(math.fsum(weights)) < 1e-6:
            raise RecipeError(
                "the weights sum to 0, which nothing divides by", remedy="give weights that do not cancel"
            )

    def shares(self, weights: Sequence[float], scale: float) -> list[float]:
        """The mean."""
        return [w / math.fsum(weights) for w in weights]

    def merge(self, deltas: Sequence[torch.Tensor], weights: Sequence[float], scale: float) -> torch.Tensor:
        """The mean, and lambda times the first directions that models leave it by."""
        mean = self.combine([s * d for s, d in zip(self.shares(weights, scale), deltas, strict=True)])
        kept, total = math.ceil(self.rank * min(mean.shape)), mean
        for delta, weight in zip(deltas, weights, strict=True):
            left, values, right = triplets(weight * (delta - mean), kept)
            total = total + scale * ((left * values) @ right.T)
        return total

    def combine(self, deltas: Sequence[torch.Tensor]) -> torch.Tensor:
        """The sum."""
        total = deltas[0]
        for delta in deltas[1:]:
            total = total + delta
        return total
