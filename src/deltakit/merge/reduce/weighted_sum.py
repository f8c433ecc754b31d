"""Linear reducers: task arithmetic (Ilharco et al., 2022, arXiv 2212.04089) and the weighted mean of models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow, Pull

__all__ = ["Summed", "WeightedMean", "WeightedSum"]


@dataclass(frozen=True)
class WeightedSum:
    """lambda * sum of w_i * delta_i."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True

    def check(self, weights: Sequence[float]) -> None:
        """Any finite weights will do."""

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...]:
        """The weights."""
        return tuple(weights)

    def over(self, group: Group) -> Flow:
        """The sum in the order of the flows."""
        return _summed(group, [group.scale * w for w in group.weights])


@dataclass(frozen=True)
class WeightedMean:
    """sum of w_i * model_i, divided by sum of w_i if `normalize`. On deltas: base + sum of (w_i / sum w) * delta_i."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    needs: ClassVar[Needs] = "models"
    scaled: ClassVar[bool] = False
    normalize: bool = True

    def check(self, weights: Sequence[float]) -> None:
        """Weights to divide by must not cancel."""
        if self.normalize and abs(math.fsum(weights)) < 1e-6:
            listed = ", ".join(f"{w:g}" for w in weights)
            raise RecipeError(
                f"weights {listed} sum to {math.fsum(weights):g}, which nothing divides by",
                remedy="give weights that do not cancel, or normalize: false",
            )

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """Shares of the sum; without `normalize`, weights that sum to 1 leave the base as it is."""
        total = math.fsum(weights)
        if self.normalize:
            return tuple(w / total for w in weights)
        return tuple(weights) if total == 1.0 else None

    def over(self, group: Group) -> Flow:
        """The sum of deltas, and without `normalize` what the weights scale the base by."""
        total = math.fsum(group.weights)
        divisor, rest = (total, 0.0) if self.normalize else (1.0, total - 1.0)
        return _summed(group, [w / divisor for w in group.weights], rest)


def _summed(group: Group, coefficients: Sequence[float], base: float = 0.0) -> Flow:
    """sum of coefficient * flow + `base` * the base's rows."""
    flows = group.flows
    pull = Summed(flows, tuple(coefficients), group.base, base)
    return Flow(flows[0].specs, pull, "", 0, tuple(m for f in flows for m in f.measures))


@dataclass(frozen=True)
class Summed:
    """The pull of a weighted sum, by name, so that a fused kernel can tell what it computes: the sum of coefficient *
    flow in their order, then `rest` * the base's rows unless that is 0."""

    flows: tuple[Flow, ...]
    coefficients: tuple[float, ...]
    base: Pull
    rest: float = 0.0

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        total = _times(self.flows[0].pull(name, lo, hi), self.coefficients[0])
        for flow, coefficient in zip(self.flows[1:], self.coefficients[1:], strict=True):
            total = total + _times(flow.pull(name, lo, hi), coefficient)
        return total + _times(self.base(name, lo, hi), self.rest) if self.rest else total


def _times(values: Float32, coefficient: float) -> Float32:
    return values if coefficient == 1.0 else values * np.float32(coefficient)
