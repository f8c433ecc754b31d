"""Random dropping by magnitude: MAGPRUNE of DELLA (Deep et al., 2024, arXiv 2406.11617, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit import rng
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.sparsify.drop import mask_key
from deltakit.sparsify.flow import Flow, Grain
from deltakit.sparsify.rows import by_rows, ranks

__all__ = ["MagPrune", "MagPruned"]

_FULL = 1 << 32


@dataclass(frozen=True)
class MagPrune:
    """Rank the magnitudes of each row (the last dimension) and drop the smaller ones more likely; divide each survivor
    by its own probability of being kept.

    Rank r of n (0 the largest) is kept with probability density + window/2 - window * r/n: the paper's
    p_min = p - epsilon/2, p_i = p_min + epsilon * r/n, with p = 1 - density and epsilon = window. `closed` spreads the
    ranks to both ends of the window, r/(n-1), as the authors' code does; a lone element then has the middle. The mask
    is seeded by (seed, model, tensor) and the element's index. Raises RecipeError unless all probabilities lie in
    (0, 1].
    """

    grain: ClassVar[Grain] = "row"
    density: float
    window: float
    rescale: bool = True
    closed: bool = False

    def __post_init__(self) -> None:
        low, high = self.density - self.window / 2, self.density + self.window / 2
        if self.window < 0 or low <= 0 or high > 1:
            raise RecipeError(
                f"density {self.density:g} with a window of {self.window:g} spans the probabilities {low:g} to "
                f"{high:g}, which must lie in (0, 1]",
                remedy="choose a smaller window, or a density farther from the ends",
            )

    @property
    def idle(self) -> bool:
        """Density 1 keeps everything as it is."""
        return self.window == 0 and rng.threshold(self.density) == _FULL

    @property
    def unbiased(self) -> bool:
        """Rescaled survivors have the delta as their mean."""
        return self.rescale or self.idle

    def on(self, flow: Flow) -> Flow:
        """The flow with dropped elements at zero."""
        return replace(flow, pull=MagPruned(flow, self), drawn=lambda name: (*flow.drawn(name), mask_key(flow, name)))

    def thresholds(self, size: int) -> NDArray[np.uint64]:
        """T of each rank of a row of `size`: an element is kept iff its lane is below, that is with probability T /
        2**32."""
        rank = np.arange(size, dtype=np.float64)
        share = (rank / (size - 1) if size > 1 else rank + 0.5) if self.closed else rank / max(1, size)
        keep = self.density + self.window / 2 - self.window * share
        return np.clip(np.rint(keep * _FULL), 1, _FULL).astype(np.uint64)

    def factors(self, size: int) -> NDArray[np.float32]:
        """What the survivor of each rank is multiplied with."""
        return (_FULL / self.thresholds(size)).astype(np.float32) if self.rescale else np.ones(size, np.float32)


@dataclass(frozen=True)
class MagPruned:
    """The pull behind MagPrune, by name, so that a fused kernel can tell what it computes."""

    flow: Flow
    step: MagPrune

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        key = mask_key(self.flow, name)

        def compute(rows: Float32, start: int) -> Float32:
            limits, factors = self.step.thresholds(rows.shape[1]), self.step.factors(rows.shape[1])
            order = ranks(rows)
            kept = rng.lanes(key, start, start + rows.size).reshape(rows.shape) < limits[order]
            return np.where(kept, rows * factors[order], np.float32(0))

        return by_rows(self.flow, name, lo, hi, compute)
