"""Model Stock (Jang et al., 2024, arXiv 2403.19522)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Float64, combined
from deltakit.sparsify.flow import Flow

__all__ = ["ModelStock", "mean_cosine"]


@dataclass(frozen=True)
class ModelStock:
    """t * mean of the models + (1 - t) * base with t = N cos / (1 + (N - 1) cos), cos the mean cosine between two of
    the N deltas of a tensor. Deltas at more than a right angle share nothing: t is 0 at least. "Layer" in the paper
    means each weight and bias of its own, as in the authors' code."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = False

    def check(self, weights: Sequence[float]) -> None:
        """The angles weigh the models."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("model_stock takes no weights", remedy="the angles between the models say how they count")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone model has no angle to another, and is itself."""
        return (1.0,) if len(weights) == 1 else None

    def over(self, group: Group) -> Flow:
        """The mean delta, shortened."""
        return combined(group, _stock, deltas=True)


def _stock(gram: Float64) -> Float64:
    """t / N for each of N deltas, (N, ...)."""
    n, cosine = len(gram), np.maximum(mean_cosine(gram), 0.0)
    share = cosine / (1.0 + (n - 1) * cosine)
    return np.repeat(share[None], n, axis=0)


def mean_cosine(gram: Float64) -> Float64:
    """The mean over all pairs of N vectors, from their inner products (N, N, ...); a zero vector has cosine 0 to all
    others."""
    n, lengths = len(gram), np.sqrt(np.stack([gram[i, i] for i in range(len(gram))]))
    pairs = [(i, j) for i in range(n) for j in range(i)]
    both = [lengths[i] * lengths[j] for i, j in pairs]
    cosines = [np.divide(gram[p], b, out=np.zeros_like(b), where=b > 0) for p, b in zip(pairs, both, strict=True)]
    return np.asarray(sum(cosines) / len(pairs))
