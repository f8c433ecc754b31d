"""Magnitude trimming: the first step of TIES (Yadav et al., 2023, arXiv 2306.01708, section 4.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.registry import did_you_mean
from deltakit.sparsify.flow import Flow, Grain
from deltakit.sparsify.threshold import check_density, exact_threshold, rank_of
from deltakit.tensors import row_blocks

__all__ = ["Thresholds", "Trim", "Trimmed"]


@dataclass(frozen=True)
class Trim:
    """Keep the share `density` of largest magnitude, zero the rest; survivors keep their values.

    scope "model" (the paper's) takes one threshold for the whole delta, "tensor" one for each tensor. The selection is
    exact; elements that tie with the threshold are kept. Raises RecipeError unless 0 < density <= 1.
    """

    grain: ClassVar[Grain] = "model"
    density: float
    scope: str = "model"

    def __post_init__(self) -> None:
        check_density(self.density)
        if self.scope not in ("model", "tensor"):
            raise RecipeError(f"trim has no scope {self.scope!r}", remedy=did_you_mean(self.scope, ["model", "tensor"]))

    @property
    def idle(self) -> bool:
        """Density 1 keeps everything."""
        return self.density == 1.0

    @property
    def unbiased(self) -> bool:
        """What is trimmed is lost."""
        return self.idle

    def on(self, flow: Flow) -> Flow:
        """The flow with small elements at zero; its thresholds are found by streaming passes."""
        thresholds = Thresholds(flow, self.density, self.scope == "model")
        return flow.with_pull(Trimmed(thresholds), thresholds.measure)


@dataclass(frozen=True)
class Trimmed:
    """The pull behind a trim, by name, so that a fused kernel can tell what it computes."""

    thresholds: Thresholds

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        values = self.thresholds.flow.pull(name, lo, hi)
        return np.where(np.abs(values) >= self.thresholds.of(name), values, np.float32(0))


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of one flow, each found once, when it is first needed."""

    flow: Flow
    density: float
    whole: bool
    found: dict[str, np.float32] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, name: str, progress: Progress = silent) -> np.float32:
        """The threshold that holds for a tensor."""
        return self.settle(name, lambda: self.find(self.names(name), progress))

    def names(self, name: str) -> list[str]:
        """The tensors that share a threshold with one."""
        return list(self.flow.specs) if self.whole else [name]

    def settle(self, name: str, find: Callable[[], np.float32]) -> np.float32:
        """The threshold that holds for a tensor; `find` measures it over `names(name)` unless that was done before."""
        if not self.whole:
            if name not in self.found:  # two threads at one tensor would find the same
                self.found[name] = find()
            return self.found[name]
        with self.lock:
            if "" not in self.found:
                self.found[""] = find()
            return self.found[""]

    def measure(self, progress: Progress) -> None:
        """Find the threshold of the whole model ahead; those of single tensors cost no extra pass over the model."""
        if self.whole and self.flow.specs:
            self.of("", progress)

    def find(self, names: list[str], progress: Progress) -> np.float32:
        """Measure the threshold of some tensors together, by the numpy form."""
        specs = self.flow.specs
        ranges = [(name, lo, hi) for name in names for lo, hi in row_blocks(specs[name])]
        count = sum(specs[n].numel for n in names)
        # one tensor is measured within a pull, where all cores are at work already
        threads = 0 if self.whole else 1
        progress.start("threshold", 2 * count, "elements")
        try:
            return exact_threshold(ranges, self.flow.pull, rank_of(self.density, count), threads, progress)
        finally:
            progress.stop()
