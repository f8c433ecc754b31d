"""One model as it is, or times a number ("passthrough")."""

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

__all__ = ["Scaled", "ScaledModel"]


@dataclass(frozen=True)
class ScaledModel:
    """factor * model, rounded once; at factor 1 the model's own bits. A base has no part in it."""

    symmetric: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "one"
    scaled: ClassVar[bool] = False
    whole: ClassVar[bool] = True
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.factor):
            raise RecipeError(f"factor {self.factor} is no number to multiply with", remedy="give a finite number")

    def check(self, weights: Sequence[float]) -> None:
        """What a model is multiplied with is factor; weights would say it twice."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("passthrough takes no weights", remedy="say what to multiply with by factor")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """The model itself."""
        return (1.0,) if self.factor == 1.0 else None

    def over(self, group: Group) -> Flow:
        """The model's rows, multiplied."""
        flow = group.flows[-1]
        return Flow(flow.specs, Scaled(group.models[-1], self.factor), "", 0, flow.measures)


@dataclass(frozen=True)
class Scaled:
    """A pull times a number."""

    pull: Pull
    factor: float

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        return self.pull(name, lo, hi) * np.float32(self.factor)
