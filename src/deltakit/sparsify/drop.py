"""Random dropping: DARE (Yu et al., 2023, arXiv 2311.03099, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deltakit import rng
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.sparsify.flow import Flow, Grain

__all__ = ["Drop", "Dropped", "mask_key"]


@dataclass(frozen=True)
class Drop:
    """Keep each element with probability `density` (the paper's 1 - p) and divide the kept ones by that probability.

    The mask is seeded by (seed, model, tensor) and the element's index: the same in any order and on any machine.
    rescale=False is the paper's DropOnly. Raises RecipeError unless 0 < density <= 1.
    """

    grain: ClassVar[Grain] = "element"
    density: float
    rescale: bool = True

    def __post_init__(self) -> None:
        rng.threshold(self.density)

    @property
    def idle(self) -> bool:
        """Density 1 keeps everything as it is."""
        return rng.threshold(self.density) == 1 << 32

    @property
    def unbiased(self) -> bool:
        """Rescaled survivors have the delta as their mean."""
        return self.rescale or self.idle

    @property
    def factor(self) -> float:
        """What survivors are multiplied with: 1 / the probability really used."""
        return 1.0 / rng.probability(self.density) if self.rescale else 1.0

    def on(self, flow: Flow) -> Flow:
        """The flow with dropped elements at zero."""

        return replace(flow, pull=Dropped(flow, self), drawn=lambda name: (*flow.drawn(name), mask_key(flow, name)))


@dataclass(frozen=True)
class Dropped:
    """The pull behind a drop, by name, so that a fused kernel can tell what it computes."""

    flow: Flow
    drop: Drop

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        values = self.flow.pull(name, lo, hi)
        start, drop = self.flow.site(name, lo).start, self.drop
        mask = rng.keep_mask(mask_key(self.flow, name), start, start + values.size, drop.density).reshape(values.shape)
        return np.multiply(values, np.float32(drop.factor), out=np.zeros_like(values), where=mask)


def mask_key(flow: Flow, name: str) -> int:
    """The key of a tensor's mask. Dropping twice by one mask would drop nothing more and rescale twice: RecipeError."""
    key = rng.key(flow.seed, flow.model, name)
    if key in flow.drawn(name):
        raise RecipeError(
            f"tensor {name!r} was already dropped with seed {flow.seed} and the name {flow.model!r}",
            remedy="choose another seed or name, so that the masks are independent",
        )
    return key
