"""mergekit's weighted mean of models: fused multiply-adds in float32, rounded to the dtype once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.compute.arithmetic import Arithmetic, fused_multiply_add
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow, Pull

__all__ = ["FusedMean", "FusedRows"]


@dataclass(frozen=True)
class FusedMean:
    """sum of w * model in the order of the models, each step a multiply-add with one rounding to float32, divided by
    the sum of w in float32 if `normalize`; then one rounding to the dtype."""

    symmetric: ClassVar[bool] = False  # sums are rounded in the order of the models
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "models"
    scaled: ClassVar[bool] = False
    whole: ClassVar[bool] = True
    normalize: bool = True

    def check(self, weights: Sequence[float]) -> None:
        """Weights to divide by must not cancel; mergekit would write a model of NaN."""
        if self.normalize and math.fsum(weights) == 0:
            raise RecipeError(
                "the weights sum to 0, which nothing divides by", remedy="give other weights, or normalize: false"
            )

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """It is computed as it is."""

    def over(self, group: Group) -> Flow:
        """The merged model's rows."""
        divisor = float(np.asarray(group.weights, np.float32).sum(dtype=np.float32)) if self.normalize else 1.0
        pull = FusedRows(group.models, group.weights, divisor, group.arithmetic)
        return Flow(group.flows[0].specs, pull, "", 0, tuple(m for f in group.flows for m in f.measures))


@dataclass(frozen=True)
class FusedRows:
    """The pull of such a mean, by name, so that a fused kernel can tell what it computes."""

    models: tuple[Pull, ...]
    weights: tuple[float, ...]
    divisor: float
    arithmetic: Arithmetic

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        first, *rest = self.models
        total = first(name, lo, hi) * np.float32(self.weights[0])
        for model, weight in zip(rest, self.weights[1:], strict=True):
            total = fused_multiply_add(model(name, lo, hi), np.float32(weight), total)
        return self.arithmetic.div(total, np.float32(self.divisor))
