"""Nearswap: a step toward another model that is bounded element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow, Pull

__all__ = ["Nearswap", "Swapped", "check_reach"]


@dataclass(frozen=True)
class Nearswap:
    """The first model, moved toward the second with weight min(t / |delta|, 1) per element: where they differ by at
    most t it is the second, elsewhere it moves by t."""

    symmetric: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "pair"
    scaled: ClassVar[bool] = False
    whole: ClassVar[bool] = True
    t: float

    def __post_init__(self) -> None:
        check_reach(self.t)

    def check(self, weights: Sequence[float]) -> None:
        """How far it goes is t; weights would say it twice."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("nearswap takes no weights", remedy="say how far an element may move by t")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """None: what is clipped depends on the numbers."""
        return None

    def over(self, group: Group) -> Flow:
        """The moved model."""
        flow = group.flows[-1]
        return Flow(flow.specs, Swapped(group.base, flow.pull, group.models[-1], self.t), "", 0, flow.measures)


@dataclass(frozen=True)
class Swapped:
    """The pull of a nearswap."""

    first: Pull
    delta: Pull
    second: Pull
    t: float

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        delta, t = self.delta(name, lo, hi), np.float32(self.t)
        moved = self.first(name, lo, hi) + np.copysign(t, delta)
        return np.where(np.abs(delta) <= t, self.second(name, lo, hi), moved)


def check_reach(t: float) -> None:
    """RecipeError unless t > 0."""
    if not t > 0:
        raise RecipeError(f"t {t} is not above 0", remedy="t is how far an element may move, e.g. 0.001")
