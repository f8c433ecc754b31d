"""What reducers share that work as a tool does which keeps its tensors in a narrow dtype: every step is rounded to it.

Their sums run over whole tensors (or rows, or columns) as streaming passes, one for each sum that needs the one before.
They are accumulated in float64 and rounded once, where the tool accumulates in float32; behind the rounding to bfloat16
or float16 that is the same but in rare cases, in float32 it may differ in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Float64, Statistic, Vectors, seen_as, total
from deltakit.sparsify.flow import Flow, Pull

__all__ = ["Stepper", "Stepwise", "length"]


@dataclass(frozen=True)
class Stepwise:
    """The traits of such reducers: they give the merged model itself, by all the steps, whatever the weights."""

    symmetric: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "models"
    scaled: ClassVar[bool] = False
    whole: ClassVar[bool] = True

    def check(self, weights: Sequence[float]) -> None:
        """Any weights will do."""

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """None: no step is left out."""
        return None


@dataclass(frozen=True)
class Stepper:
    """The rows of several models, in the dimensions of their tensors, and sums over them."""

    group: Group
    pulls: tuple[Pull, ...]
    vectors: Vectors = "tensor"

    @property
    def arithmetic(self) -> Arithmetic:
        return self.group.arithmetic

    def rows(self, name: str, lo: int, hi: int) -> list[Float32]:
        spec = self.group.flows[0].specs[name]
        return [seen_as(pull(name, lo, hi), spec) for pull in self.pulls]

    def base(self, name: str, lo: int, hi: int) -> Float32:
        return seen_as(self.group.base(name, lo, hi), self.group.flows[0].specs[name])

    def sums(self, at: Callable[[str, int, int], Sequence[Float32]]) -> Statistic:
        """Sums over the vectors of what `at` gives for a range of a tensor, (k, ...)."""
        specs = self.group.flows[0].specs

        def found(name: str, lo: int, hi: int) -> Float64:
            return np.stack([total(v, specs[name], self.vectors) for v in at(name, lo, hi)])

        return Statistic(specs, found, self.vectors)

    def flow(self, made: Callable[[str, int, int], Float32]) -> Flow:
        """The merged model's rows from what `made` gives in the dimensions of the tensors."""
        flows = self.group.flows
        specs = flows[0].specs

        def pull(name: str, lo: int, hi: int) -> Float32:
            return made(name, lo, hi).reshape(hi - lo, specs[name].row_size)

        return Flow(specs, pull, "", 0, tuple(m for f in flows for m in f.measures))


def length(squares: Float64, arithmetic: Arithmetic) -> Float32:
    """Lengths from sums of squares."""
    return arithmetic.round(np.sqrt(squares).astype(np.float32))
