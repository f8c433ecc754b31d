"""Reinforced agent merging, RAM and RAM+ (Yuan et al., 2026, arXiv 2601.13572, section 4)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.compute.arithmetic import FLOAT32, Arithmetic
from deltakit.merge.method import Group, Needs
from deltakit.registry import did_you_mean
from deltakit.sparsify.flow import Flow
from deltakit.tensors import row_blocks

__all__ = ["Ram", "RamRows"]


@dataclass(frozen=True)
class Ram:
    """An element of a delta is active if its magnitude is above `epsilon`. Where one model is active, its delta is
    taken as it is (RAM) or times the model's factor (RAM+); where several are, their mean; times lambda.

    The factor is 1 + r * min(shared / unique, alpha), of the counts of a model's active elements that others share and
    that are its own; r = 0 is RAM. Scope "model" counts over the whole model (the paper), "tensor" tensor by tensor.
    With `stepwise` as mergekit computes: means in the group's dtype, each quotient rounded; no lambda.
    """

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    epsilon: float = 1e-5
    r: float = 0.0
    alpha: float = 0.2
    scope: str = "model"
    stepwise: bool = False

    def __post_init__(self) -> None:
        if min(self.epsilon, self.alpha) < 0:
            raise RecipeError(
                f"epsilon {self.epsilon:g} and alpha {self.alpha:g} must not be below 0", remedy="e.g. 1e-5 and 0.2"
            )
        if self.scope not in ("model", "tensor"):
            raise RecipeError(f"ram has no scope {self.scope!r}", remedy=did_you_mean(self.scope, ["model", "tensor"]))

    def check(self, weights: Sequence[float]) -> None:
        """Means are of the active models, whatever they are."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("ram takes no weights", remedy="leave the weights out")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone delta of which all is active stays as it is: it shares nothing."""
        return (1.0,) if len(weights) == 1 and self.epsilon == 0 else None

    def over(self, group: Group) -> Flow:
        """The merged delta; RAM+ counts in one pass before."""
        scale = 1.0 if self.stepwise else group.scale
        pull = RamRows(group.flows, self, scale, group.arithmetic if self.stepwise else FLOAT32)
        ahead = (pull.measure,) if self.r and self.scope == "model" else ()
        return Flow(group.flows[0].specs, pull, "", 0, (*(m for f in group.flows for m in f.measures), *ahead))


@dataclass(frozen=True)
class RamRows:
    """The pull of RAM, by name, so that a fused kernel can tell what it computes."""

    flows: tuple[Flow, ...]
    reduce: Ram
    scale: float
    arithmetic: Arithmetic
    found: dict[str, tuple[np.float32, ...]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        deltas = [f.pull(name, lo, hi) for f in self.flows]
        active, count = _active(deltas, self.epsilon)
        share = np.maximum(count, 1).astype(np.float32)
        means = [self.arithmetic.div(np.where(a, d, np.float32(0)), share) for d, a in zip(deltas, active, strict=True)]
        if self.reduce.r:
            factors = self.factors(name)
            means = [np.where(count == 1, m * f, m) for m, f in zip(means, factors, strict=True)]
            total = FLOAT32.sum(means)
        else:
            total = self.arithmetic.sum(means)
        return total * np.float32(self.scale) if self.scale != 1.0 else total

    @property
    def epsilon(self) -> np.float32:
        """Above it an element is active; a number of the dtype, too."""
        return np.float32(self.arithmetic.round(self.reduce.epsilon))

    def factors(self, name: str, progress: Progress = silent) -> tuple[np.float32, ...]:
        """Each model's factor of what is its own, in a tensor."""
        if self.reduce.scope == "tensor":
            if name not in self.found:  # two threads at one tensor would find the same
                self.found[name] = self._find([name], progress, threads=1)
            return self.found[name]
        with self.lock:
            if "" not in self.found:
                self.found[""] = self._find(list(self.flows[0].specs), progress, threads=0)
            return self.found[""]

    def measure(self, progress: Progress) -> None:
        """Count ahead."""
        self.factors("", progress)

    def _find(self, names: list[str], progress: Progress, threads: int) -> tuple[np.float32, ...]:
        specs = self.flows[0].specs
        ranges = [(name, lo, hi) for name in names for lo, hi in row_blocks(specs[name])]
        counts = np.zeros((2, len(self.flows)), np.int64)
        progress.start("shared and unique changes", sum(specs[n].numel for n in names), "elements")
        try:
            with closing(pump(ranges, lambda at: self._count(*at), threads=threads)) as found:
                for (name, lo, hi), some in found:
                    counts += some
                    progress.advance((hi - lo) * specs[name].row_size, name)
        finally:
            progress.stop()
        return tuple(_factor(shared, unique, self.reduce) for shared, unique in counts.T)

    def _count(self, name: str, lo: int, hi: int) -> NDArray[np.int64]:
        """(2, models): the active elements of each model that others share, and that are its own."""
        active, count = _active([f.pull(name, lo, hi) for f in self.flows], self.epsilon)
        return np.array(
            [[np.count_nonzero(a & (count > 1)) for a in active], [np.count_nonzero(a & (count == 1)) for a in active]]
        )


def _active(deltas: Sequence[Float32], epsilon: np.float32) -> tuple[list[NDArray[np.bool_]], NDArray[np.int64]]:
    """Where each delta is active, and how many are."""
    active = [np.abs(d) > epsilon for d in deltas]
    count: NDArray[np.int64] = np.sum(active, axis=0, dtype=np.int64)
    return active, count


def _factor(shared: int, unique: int, reduce: Ram) -> np.float32:
    """1 + r * clip(shared / unique, 0, alpha), step by step in float32."""
    ratio = np.float32(shared) / np.float32(max(1, unique))
    return np.float32(1) + np.float32(reduce.r) * min(ratio, np.float32(reduce.alpha))
