"""Magnitude trimming of each tensor to an exact count of elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.sparsify.cut import Cuts, count_of
from deltakit.sparsify.flow import Flow, Grain

__all__ = ["TopK", "TopKept"]


@dataclass(frozen=True)
class TopK:
    """Keep exactly int(density * n) elements of largest magnitude of each tensor of n, of a density above 0 at least
    one; elements that tie are kept from the front. 0 keeps nothing. Raises RecipeError unless 0 <= density <= 1.

    Trim with scope "tensor" is its like after the TIES authors' code, which keeps all that tie with the threshold.
    """

    grain: ClassVar[Grain] = "tensor"
    density: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.density <= 1.0:
            raise RecipeError(f"density {self.density} is not in [0, 1]", remedy="density is the share that is kept")

    @property
    def idle(self) -> bool:
        """Density 1 keeps everything."""
        return self.density == 1.0

    @property
    def unbiased(self) -> bool:
        """What is trimmed is lost."""
        return self.idle

    def on(self, flow: Flow) -> Flow:
        """The flow with small elements at zero; the cut of a tensor is found when it is first asked for."""
        return flow.with_pull(TopKept(flow, self.density, Cuts(flow.pull)))


@dataclass(frozen=True)
class TopKept:
    """The pull behind TopK, by name, so that a fused kernel can tell what it computes."""

    flow: Flow
    density: float
    cuts: Cuts

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        spec, values = self.flow.specs[name], self.flow.pull(name, lo, hi)
        cut = self.cuts.of(name, spec, count_of(self.density, spec.numel))
        return np.where(cut.holds(values, lo * spec.row_size), values, np.float32(0))
