"""TALL masks and consensus merging (Wang et al., 2024, arXiv 2405.07813, sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow

__all__ = ["Consensus", "ConsensusRows"]


@dataclass(frozen=True)
class Consensus:
    """lambda * sum of w * delta at the positions that at least `k` models use, 0 elsewhere.

    A model uses a position where |delta| > `threshold` * |sum of the others' deltas|, all without weights: where its
    own task would keep it of the sum (equation 3 of the paper).
    """

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    threshold: float = 0.4
    k: int = 2

    def __post_init__(self) -> None:
        if self.threshold < 0 or self.k < 0:
            raise RecipeError(
                f"threshold {self.threshold:g} and k {self.k} must not be below 0", remedy="e.g. 0.4 and 2"
            )

    def check(self, weights: Sequence[float]) -> None:
        """As many models as must agree."""
        if self.k > len(weights):
            raise RecipeError(
                f"no position is used by {self.k} of {len(weights)} models", remedy="choose a smaller k, or more models"
            )

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """With k = 0 every position is kept; a lone delta is used wherever it is not 0."""
        return tuple(weights) if self.k == 0 or len(weights) == 1 else None

    def over(self, group: Group) -> Flow:
        """The sum of what is used."""
        pull = ConsensusRows(group.flows, tuple(group.scale * w for w in group.weights), self)
        return Flow(group.flows[0].specs, pull, "", 0, tuple(m for f in group.flows for m in f.measures))


@dataclass(frozen=True)
class ConsensusRows:
    """The pull of consensus merging, by name, so that a fused kernel can tell what it computes."""

    flows: tuple[Flow, ...]
    coefficients: tuple[float, ...]
    reduce: Consensus

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        deltas = [f.pull(name, lo, hi) for f in self.flows]
        total = sum(deltas[1:], deltas[0])
        used = [np.abs(d) > np.float32(self.reduce.threshold) * np.abs(total - d) for d in deltas]
        enough = np.sum(used, axis=0, dtype=np.int64) >= self.reduce.k
        pairs = zip(deltas, self.coefficients, strict=True)
        made = sum((d * np.float32(c) for d, c in pairs), np.zeros_like(total))
        return np.where(enough, made, np.float32(0))
