"""Spherical interpolation of any number of models ("Multi-SLERP")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Float64, combined
from deltakit.sparsify.flow import Flow

__all__ = ["Multislerp", "lengths_of", "shares"]

_CANCELLED = 1e-12  # a mean of unit vectors this short has no direction


@dataclass(frozen=True)
class Multislerp:
    """The direction of the weighted mean of the unit vectors, at the weighted mean of the lengths; over a named base
    of the deltas, else of the models. (The method is told as a step in the tangent plane at that direction. The
    projections onto the plane sum to zero, so the step is none.) A zero tensor has a length and no direction; where
    directions cancel, the weighted sum of the tensors stands."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "models"
    scaled: ClassVar[bool] = False
    normalize: bool = True

    def check(self, weights: Sequence[float]) -> None:
        """Weights to divide by must not cancel."""
        if self.normalize:
            shares(weights)

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone model is itself."""
        return (1.0,) if len(weights) == 1 and (self.normalize or weights[0] == 1.0) else None

    def over(self, group: Group) -> Flow:
        """The delta found, or what turns the base into the model found."""
        weights = np.array(shares(group.weights) if self.normalize else group.weights)

        def rule(gram: Float64) -> Float64:
            return _spherical(gram, weights)

        return combined(group, rule, deltas=group.based)


def _spherical(gram: Float64, weights: Float64) -> Float64:
    """Coefficients of N whole tensors, (N, ...), from their inner products (N, N, ...)."""
    shape = (len(gram), *gram.shape[2:])
    square = gram.reshape(len(gram), len(gram))
    lengths = lengths_of(square)
    units = np.divide(weights, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    mean = math.sqrt(max(float(units @ square @ units), 0.0))
    if mean <= _CANCELLED * float(np.abs(weights).sum()):
        return weights.reshape(shape)
    return np.asarray(units * (float(weights @ lengths) / mean)).reshape(shape)


def lengths_of(gram: Float64) -> Float64:
    """The lengths of vectors from their inner products (N, N)."""
    return np.asarray(np.sqrt(np.diagonal(gram)))


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights over their sum. RecipeError where they cancel."""
    total = math.fsum(weights)
    if abs(total) < 1e-6:
        listed = ", ".join(f"{w:g}" for w in weights)
        raise RecipeError(f"weights {listed} sum to {total:g}, which nothing divides by", remedy="let them not cancel")
    return tuple(w / total for w in weights)
