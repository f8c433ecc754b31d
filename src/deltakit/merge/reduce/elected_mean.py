"""Sign election and disjoint mean: the last two steps of TIES (Yadav et al., 2023, arXiv 2306.01708, section 4)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.delta.terms.base import Float32
from deltakit.errors import NonFiniteError, RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.registry import did_you_mean
from deltakit.sparsify.flow import Flow
from deltakit.tensors import row_blocks

__all__ = ["Elected", "ElectedMean", "Majority", "not_finite"]


@dataclass(frozen=True)
class ElectedMean:
    """Per element the sign of the unweighted sum, then the weighted mean over the nonzero deltas of that sign, times
    lambda. Where the sum is zero, the sign that the majority of the whole model's elements elected holds (of the
    tensor's, with scope "tensor"); should those tie too, the negative deltas count (as in the authors' code)."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    scope: str = "model"

    def __post_init__(self) -> None:
        if self.scope not in ("model", "tensor"):
            raise RecipeError(
                f"an election has no scope {self.scope!r}", remedy=did_you_mean(self.scope, ["model", "tensor"])
            )

    def check(self, weights: Sequence[float]) -> None:
        """A mean over the agreeing needs positive weights."""
        if any(w <= 0 for w in weights):
            raise RecipeError(
                f"weights {', '.join(f'{w:g}' for w in weights)}: a mean over agreeing models needs weights above 0",
                remedy="leave a model out instead of giving it weight 0",
            )

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone delta is its own mean."""
        return (1.0,) if len(weights) == 1 else None

    def over(self, group: Group) -> Flow:
        """The elected mean; one pass over all deltas counts the majority."""
        majority = Majority(group.flows, self.scope == "model")
        pull = Elected(group.flows, group.weights, group.scale, majority)
        measures = tuple(m for f in group.flows for m in f.measures)
        return Flow(group.flows[0].specs, pull, "", 0, (*measures, majority.measure))


@dataclass(frozen=True)
class Elected:
    """The pull of an elected mean, by name, so that a fused kernel can tell what it computes."""

    flows: tuple[Flow, ...]
    weights: tuple[float, ...]
    scale: float
    majority: Majority

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        deltas = [flow.pull(name, lo, hi) for flow in self.flows]
        total = _sum(deltas, name)
        positive = total > 0
        if self.majority.of(name) > 0:
            positive |= total == 0
        return _mean(deltas, self.weights, positive) * np.float32(self.scale)


def _sum(deltas: Sequence[Float32], name: str) -> Float32:
    """The unweighted sum in the order of the models; InputError where it is not finite."""
    total = deltas[0].copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for delta in deltas[1:]:
            total += delta
    if not np.isfinite(total).all():
        raise not_finite(name)
    return total


def not_finite(name: str) -> NonFiniteError:
    """What an election cannot go on with."""
    return NonFiniteError(f"tensor {name!r}: the deltas hold values that are not finite", remedy="check the models")


def _mean(
    deltas: Sequence[Float32], weights: Sequence[float], positive: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Float32:
    """sum of w * delta / sum of w over the nonzero deltas of the elected sign; 0 where there is none."""
    total, share = np.zeros_like(deltas[0]), np.zeros_like(deltas[0])
    for delta, weight in zip(deltas, weights, strict=True):
        agrees = np.where(positive, delta > 0, delta < 0)
        total += np.where(agrees, delta * np.float32(weight), np.float32(0))
        share += agrees * np.float32(weight)
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0)


@dataclass(frozen=True)
class Majority:
    """The sign that most elements of the whole model (or of each tensor) elected, found once, when it is needed."""

    flows: tuple[Flow, ...]
    whole: bool = True
    found: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, name: str, progress: Progress = silent) -> int:
        """The sign that holds for a tensor: -1, 0 or 1."""
        return self.settle(name, lambda: self.count(self.names(name), progress))

    def names(self, name: str) -> list[str]:
        """The tensors that vote together with one."""
        return list(self.flows[0].specs) if self.whole else [name]

    def settle(self, name: str, count: Callable[[], int]) -> int:
        """The sign that holds for a tensor; `count` finds how many more elements of `names(name)` elect plus than
        minus, unless that was done before."""
        if not self.whole:
            if name not in self.found:  # two threads at one tensor would find the same
                self.found[name] = int(np.sign(count()))
            return self.found[name]
        with self.lock:
            if "" not in self.found:
                self.found[""] = int(np.sign(count()))
            return self.found[""]

    def measure(self, progress: Progress) -> None:
        """Count the whole model's votes ahead; those of single tensors cost no extra pass over the model."""
        if self.whole:
            self.of("", progress)

    def count(self, names: Sequence[str], progress: Progress) -> int:
        """How many more elements elect plus than minus, by the numpy form."""
        specs, votes = self.flows[0].specs, 0
        ranges = [(name, lo, hi) for name in names for lo, hi in row_blocks(specs[name])]
        progress.start("majority sign", sum(specs[n].numel for n in names), "elements")
        try:
            with closing(pump(ranges, lambda at: self._votes(*at), threads=0 if self.whole else 1)) as found:
                for (name, _, _), (some, size) in found:
                    votes += some
                    progress.advance(size, name)
        finally:
            progress.stop()
        return votes

    def _votes(self, name: str, lo: int, hi: int) -> tuple[int, int]:
        """The votes of a range, and its elements."""
        total = _sum([flow.pull(name, lo, hi) for flow in self.flows], name)
        return int(np.count_nonzero(total > 0)) - int(np.count_nonzero(total < 0)), total.size
