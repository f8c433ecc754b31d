"""ExPO: beyond a model along its own change (Zheng et al., 2024, arXiv 2404.16792, equation 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.weighted_sum import WeightedSum
from deltakit.sparsify.flow import Flow

__all__ = ["Extrapolated"]


@dataclass(frozen=True)
class Extrapolated:
    """(1 + alpha) * sum of w * delta: with one model, it plus alpha times its change from the base."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = False
    identity: ClassVar[bool] = False  # that is its point
    alpha: float

    def __post_init__(self) -> None:
        if self.alpha < 0:
            raise RecipeError(f"alpha {self.alpha:g} is below 0", remedy="to go back to the base use task_arithmetic")

    def check(self, weights: Sequence[float]) -> None:
        """Any finite weights will do."""

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...]:
        """The weights, each that much larger."""
        return tuple((1.0 + self.alpha) * w for w in weights)

    def over(self, group: Group) -> Flow:
        """The sum in the order of the flows."""
        return WeightedSum().over(replace(group, scale=1.0, weights=self.coefficients(group.weights)))
