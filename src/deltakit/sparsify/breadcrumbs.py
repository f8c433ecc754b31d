"""Model breadcrumbs: without outliers and without small changes (Davari & Belilovsky, 2023, arXiv 2312.06795)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.registry import did_you_mean
from deltakit.sparsify.cut import Cuts, count_of
from deltakit.sparsify.flow import Flow, Grain
from deltakit.sparsify.rows import by_rows, ranks

__all__ = ["Breadcrumbs", "Crumbs"]


@dataclass(frozen=True)
class Breadcrumbs:
    """Drop the share `gamma` of largest magnitude, then keep the share `density` of largest magnitude of what is left.

    Of n elements int(gamma * n) are dropped and int(density * n) kept, of a density above 0 at least one; gamma shrinks
    where too few would be left. Elements that tie count as larger from the front. Survivors keep their values. Scope
    "row" (the authors') is the last dimension, "tensor" the whole tensor. RecipeError unless 0 <= density <= 1 and
    0 <= gamma < 1.
    """

    grain: ClassVar[Grain] = "tensor"
    density: float
    gamma: float
    scope: str = "row"

    def __post_init__(self) -> None:
        if not (0.0 <= self.density <= 1.0 and 0.0 <= self.gamma < 1.0):
            raise RecipeError(
                f"density {self.density} is not in [0, 1], or gamma {self.gamma} not in [0, 1)",
                remedy="density is the share that is kept, gamma that of the outliers, e.g. 0.15 and 0.006",
            )
        if self.scope not in ("row", "tensor"):
            raise RecipeError(
                f"breadcrumbs has no scope {self.scope!r}", remedy=did_you_mean(self.scope, ["row", "tensor"])
            )

    @property
    def idle(self) -> bool:
        """Everything is kept."""
        return self.density == 1.0

    @property
    def unbiased(self) -> bool:
        """What is dropped is lost."""
        return self.idle

    def on(self, flow: Flow) -> Flow:
        """The flow with outliers and small elements at zero."""
        return flow.with_pull(Crumbs(flow, self, Cuts(flow.pull)))

    def band(self, size: int) -> tuple[int, int]:
        """The ranks that are kept of `size` elements, 0 the largest: first, end."""
        kept = count_of(self.density, size)
        first = min(int(self.gamma * size), size - kept)
        return first, first + kept


@dataclass(frozen=True)
class Crumbs:
    """The pull behind Breadcrumbs, by name, so that a fused kernel can tell what it computes."""

    flow: Flow
    step: Breadcrumbs
    cuts: Cuts

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        if self.step.scope == "row":
            return by_rows(self.flow, name, lo, hi, self._row)
        spec, values = self.flow.specs[name], self.flow.pull(name, lo, hi)
        first, end = self.step.band(spec.numel)
        start = lo * spec.row_size
        inner = self.cuts.of(name, spec, end).holds(values, start)
        outliers = self.cuts.of(name, spec, first).holds(values, start)
        return np.where(inner & ~outliers, values, np.float32(0))

    def _row(self, rows: Float32, start: int) -> Float32:
        first, end = self.step.band(rows.shape[1])
        order = ranks(rows)
        return np.where((first <= order) & (order < end), rows, np.float32(0))
