"""Model Stock and nearswap with every step rounded to the dtype of the tensors, as mergekit 0.1.5 computes them (its
outputs were compared; its source was not read)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Statistic, Vectors
from deltakit.merge.reduce.nearswap import check_reach
from deltakit.merge.reduce.stepwise import Stepper, Stepwise, length
from deltakit.sparsify.flow import Flow

__all__ = ["StepwiseModelStock", "StepwiseNearswap"]

_LEAST = 1e-6  # what a difference counts for at least in nearswap, and what model stock divides by


@dataclass(frozen=True)
class StepwiseModelStock(Stepwise):
    """Model Stock, of whole tensors or row by row ("filter-wise"), at any angle between the deltas. The product of two
    lengths counts for 1e-6 at least, so that small deltas seem less alike than they are; where deltas are opposite the
    base stands."""

    needs: ClassVar[Needs] = "base"
    vectors: Vectors = "tensor"

    def over(self, group: Group) -> Flow:
        """t * mean of the models + (1 - t) * base."""
        stepper = Stepper(group, tuple(f.pull for f in group.flows), self.vectors)
        models = Stepper(group, group.models, self.vectors)
        a, n = group.arithmetic, len(group.flows)
        pairs = list(combinations(range(n), 2))
        sizes = stepper.sums(lambda *at: [np.square(r.astype(np.float64)) for r in stepper.rows(*at)])

        def products(name: str, lo: int, hi: int) -> list[Float32]:
            rows = stepper.rows(name, lo, hi)
            return [a.mul(rows[i], rows[j]) for i, j in pairs]

        dots = stepper.sums(products)

        def made(name: str, lo: int, hi: int) -> Float32:
            mean = a.div(_in_turn(group, models.rows(name, lo, hi)), n)
            if n == 1:
                return mean
            t = self._ratio(group, sizes, dots, name, lo, hi)
            return a.add(a.mul(t, mean), a.mul(a.sub(1, t), stepper.base(name, lo, hi)))

        return stepper.flow(made)

    @staticmethod
    def _ratio(group: Group, sizes: Statistic, dots: Statistic, name: str, lo: int, hi: int) -> Float32:
        a, n = group.arithmetic, len(group.flows)
        lengths = length(sizes.of(name, lo, hi), a)
        found = zip(combinations(range(n), 2), a.round(dots.of(name, lo, hi).astype(np.float32)), strict=True)
        least = a.round(_LEAST)
        cosines = [a.div(dot, np.maximum(a.mul(lengths[i], lengths[j]), least)) for (i, j), dot in found]
        cosine = a.round(np.mean(cosines, axis=0, dtype=np.float32))
        below = a.add(a.mul(cosine, n - 1), 1)
        some = np.abs(below) > least
        return np.where(some, a.div(a.mul(cosine, n), np.where(some, below, np.float32(1))), np.float32(0))


def _in_turn(group: Group, rows: list[Float32]) -> Float32:
    made = rows[0]
    for row in rows[1:]:
        made = group.arithmetic.add(made, row)
    return made


@dataclass(frozen=True)
class StepwiseNearswap(Stepwise):
    """Nearswap: both models times their weights, added."""

    needs: ClassVar[Needs] = "pair"
    t: float

    def __post_init__(self) -> None:
        check_reach(self.t)

    def over(self, group: Group) -> Flow:
        """The first model is the base."""
        stepper, a = Stepper(group, (group.base, group.models[-1])), group.arithmetic

        def made(name: str, lo: int, hi: int) -> Float32:
            first, second = stepper.rows(name, lo, hi)
            apart = np.maximum(np.abs(a.sub(first, second)), a.round(_LEAST))
            share = np.clip(a.mul(a.div(1, apart), self.t), 0, 1)  # by the reciprocal, as a number is divided there
            return a.add(a.mul(share, second), a.mul(a.sub(1, share), first))

        return stepper.flow(made)
