"""mergekit's sum of weighted deltas, with or without the election of signs, rounded to its dtype at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow

__all__ = ["Stepwise", "StepwiseSum"]

_NOTHING = np.float32(1e-8)  # a sum of weights as small as this divides nothing


@dataclass(frozen=True)
class StepwiseSum:
    """sum of w * delta, divided by the sum of w if `normalize`, times lambda; all in the group's dtype, weights too.

    With `elect`, per element the sign of that weighted sum holds (plus where it is 0), and both sums are over the
    models whose w * delta has that sign.
    """

    symmetric: ClassVar[bool] = False  # sums are rounded in the order of the models
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    normalize: bool = False
    elect: bool = False

    def check(self, weights: Sequence[float]) -> None:
        """Any weights will do: where they cancel, nothing is divided."""

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """Rounding at every step is no mere sum."""

    def over(self, group: Group) -> Flow:
        """The sum in the order of the flows."""
        pull = Stepwise(group.flows, group.weights, group.scale, group.arithmetic, self)
        return Flow(group.flows[0].specs, pull, "", 0, tuple(m for f in group.flows for m in f.measures))


@dataclass(frozen=True)
class Stepwise:
    """The pull of such a sum, by name, so that a fused kernel can tell what it computes."""

    flows: tuple[Flow, ...]
    weights: tuple[float, ...]
    scale: float
    arithmetic: Arithmetic
    reduce: StepwiseSum

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        in_dtype = self.arithmetic
        weights = [in_dtype.round(w) for w in self.weights]
        terms = [in_dtype.mul(f.pull(name, lo, hi), w) for f, w in zip(self.flows, weights, strict=True)]
        if self.reduce.elect:
            elected = np.where(in_dtype.sum(terms) >= 0, np.float32(1), np.float32(-1))
            agree = [np.sign(t) == elected for t in terms]
            terms = [np.where(a, t, np.float32(0)) for t, a in zip(terms, agree, strict=True)]
            shares = [np.where(a, w, np.float32(0)) for w, a in zip(weights, agree, strict=True)]
        else:
            shares = weights
        total = in_dtype.sum(terms)
        if self.reduce.normalize:
            share = in_dtype.sum(shares)
            total = in_dtype.div(total, np.where(np.abs(share) < _NOTHING, np.float32(1), share))
        return in_dtype.mul(total, self.scale) if self.scale != 1.0 else total
