"""LiNeS: a delta scaled by depth (Wang et al., 2024, arXiv 2410.17146, section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.layers import depths_of, layer_of, stack_of
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.sparsify.flow import Flow, Grain

__all__ = ["Lines"]


@dataclass(frozen=True)
class Lines:
    """Layer l of L, counted from 0, times alpha + beta * l / (L - 1): shallow layers stay near the base.

    The layer is read from the tensor's name; encoder and decoder, or towers, each have a depth of their own, the
    highest layer of the delta. What lies in no layer (embeddings, head, norms), and a lone layer, is scaled by alpha,
    as in the authors' code. Raises RecipeError for what is not finite.
    """

    grain: ClassVar[Grain] = "element"
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and math.isfinite(self.beta)):
            raise RecipeError(f"alpha {self.alpha}, beta {self.beta}: not finite", remedy="e.g. alpha 0.3, beta 0.7")

    @property
    def idle(self) -> bool:
        """All layers times 1."""
        return (self.alpha, self.beta) == (1.0, 0.0)

    @property
    def unbiased(self) -> bool:
        """Scaling changes the mean."""
        return self.idle

    def on(self, flow: Flow) -> Flow:
        """The flow scaled."""
        depths = depths_of(flow.specs)

        def pull(name: str, lo: int, hi: int) -> Float32:
            return flow.pull(name, lo, hi) * np.float32(self.factor(name, depths))

        return flow.with_pull(pull)

    def factor(self, name: str, depths: Mapping[str, int]) -> float:
        """What a tensor is multiplied with, where the stacks of its model have these depths."""
        layer, stack = layer_of(name), stack_of(name)
        if layer is None or stack is None or depths[stack] < 2:
            return self.alpha
        return self.alpha + self.beta * layer / (depths[stack] - 1)
