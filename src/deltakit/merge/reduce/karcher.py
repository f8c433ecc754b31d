"""The Karcher mean of models on the sphere (arXiv 2603.04972)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Float64, combined, gram_of, square_of, sum_of
from deltakit.merge.reduce.multislerp import lengths_of, shares
from deltakit.sparsify.flow import Flow

__all__ = ["Karcher", "KarcherOfAll", "karcher_mean"]

_STILL = 1e-12  # a mean of unit vectors this short has no direction; an angle this small needs no step


@dataclass(frozen=True)
class Karcher:
    """The point of the sphere whose squared distances to the models' directions sum to the least, at the weighted mean
    of their lengths: from the direction of the mean of the unit vectors, step by step along the mean of the logarithms
    until a step is shorter than `tolerance`, `iterations` steps at most. A named base has no part in it. A zero tensor
    has a length and no direction; where directions cancel, the weighted mean of the tensors stands."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "models"
    scaled: ClassVar[bool] = False
    iterations: int = 10
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if self.iterations < 0 or not self.tolerance > 0:
            raise RecipeError(
                f"iterations {self.iterations}, tolerance {self.tolerance}: the mean is not found by these",
                remedy="give at least 0 iterations and a tolerance above 0",
            )

    def check(self, weights: Sequence[float]) -> None:
        """A mean needs weights from 0 up, and one above."""
        if any(not w >= 0 for w in weights):
            raise RecipeError("a mean of directions needs weights from 0 up", remedy="leave out what shall not count")
        shares(weights)

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone model is itself."""
        return (1.0,) if len(weights) == 1 else None

    def over(self, group: Group) -> Flow:
        """What turns the base into the mean model."""
        weights = np.array(shares(group.weights))

        def rule(gram: Float64) -> Float64:
            n = len(gram)
            found = karcher_mean(gram.reshape(n, n), weights, self.iterations, self.tolerance)
            return found.reshape(n, *gram.shape[2:])

        return combined(group, rule, deltas=False)


@dataclass(frozen=True)
class KarcherOfAll(Karcher):
    """As mergekit 0.1.5 takes it: all count alike whatever their weights, and a named base is one of them. (There a
    tensor shorter than the tolerance becomes zero; here it does not. The iteration is not rounded step by step.)"""

    symmetric: ClassVar[bool] = False
    whole: ClassVar[bool] = True

    def check(self, weights: Sequence[float]) -> None:
        """Weights have no part in it."""

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """None: a base has a part in it."""
        return None

    def over(self, group: Group) -> Flow:
        """The mean model's rows, rounded once."""
        flow, pulls = group.flows[0], (*group.models, *((group.base,) if group.based else ()))
        gram, weights = gram_of(pulls, flow.specs), np.full(len(pulls), 1.0 / len(pulls))

        def pull(name: str, lo: int, hi: int) -> Float32:
            found = square_of(gram.of(name, lo, hi), len(pulls))
            factors = karcher_mean(found.reshape(found.shape[:2]), weights, self.iterations, self.tolerance)
            spread = factors.reshape(len(pulls), *found.shape[2:])
            return group.arithmetic.round(sum_of(pulls, spread, flow.specs[name], name, lo, hi))

        return Flow(flow.specs, pull, "", 0, tuple(m for f in group.flows for m in f.measures))


def karcher_mean(gram: Float64, weights: Float64, iterations: int, tolerance: float) -> Float64:
    """The coefficients (N,) of the mean of N vectors with these inner products (N, N): the mean lies in their span, so
    that all of the iteration does."""
    lengths = lengths_of(gram)
    some = lengths > 0
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=some)
    cosines = gram * inverse[:, None] * inverse[None, :]
    at = weights * some
    if math.sqrt(max(float(at @ cosines @ at), 0.0)) < _STILL:
        return weights
    at = _unit(at, cosines)
    for _ in range(iterations):
        step = _step(at, cosines, weights * some)
        size = math.sqrt(max(float(step @ cosines @ step), 0.0))
        if size < tolerance:
            break
        at = _unit(math.cos(size) * at + math.sin(size) / size * step, cosines)
    return np.asarray(at * inverse * float(weights @ lengths))


def _unit(at: Float64, cosines: Float64) -> Float64:
    """A point in the coordinates of the unit vectors, put on the sphere."""
    return np.asarray(at / math.sqrt(float(at @ cosines @ at)))


def _step(at: Float64, cosines: Float64, weights: Float64) -> Float64:
    """The weighted mean of the logarithms at a point; none toward its antipode, where all ways are as long."""
    cosine = np.clip(cosines @ at, -1.0, 1.0)
    angle, sine = np.arccos(cosine), np.sqrt(1.0 - cosine * cosine)
    pull = weights * np.divide(angle, sine, out=np.zeros_like(angle), where=sine > _STILL)
    return np.asarray(pull - float(pull @ cosine) * at)
