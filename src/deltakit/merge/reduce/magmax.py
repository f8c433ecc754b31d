"""MagMax: per element the change of largest magnitude (Marczak et al., 2024, arXiv 2407.06322, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow

__all__ = ["MagMax", "MagMaxRows"]


@dataclass(frozen=True)
class MagMax:
    """lambda * the delta of largest magnitude, element by element; of two of one magnitude the positive."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True

    def check(self, weights: Sequence[float]) -> None:
        """One delta is taken as it is."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("magmax takes no weights", remedy="leave the weights out")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone delta is the largest."""
        return (1.0,) if len(weights) == 1 else None

    def over(self, group: Group) -> Flow:
        """The largest deltas."""
        pull = MagMaxRows(group.flows, group.scale)
        return Flow(group.flows[0].specs, pull, "", 0, tuple(m for f in group.flows for m in f.measures))


@dataclass(frozen=True)
class MagMaxRows:
    """The pull of MagMax, by name, so that a fused kernel can tell what it computes."""

    flows: tuple[Flow, ...]
    scale: float

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        first, *rest = self.flows
        best = first.pull(name, lo, hi)
        for flow in rest:
            delta = flow.pull(name, lo, hi)
            size, most = np.abs(delta), np.abs(best)
            best = np.where((size > most) | ((size == most) & (delta > best)), delta, best)
        return best * np.float32(self.scale)
