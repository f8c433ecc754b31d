"""Arcee Fusion: only the changes that matter most are taken over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.errors import InputError, RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Float64
from deltakit.sparsify.flow import Flow, Pull
from deltakit.sparsify.threshold import exact_threshold
from deltakit.tensors import TensorSpec, row_blocks

__all__ = ["Fusion", "divergence"]

_STEP = 1 << 20  # bytes of float32 that are looked at at a time


@dataclass(frozen=True)
class Fusion:
    """A delta is kept where its importance reaches median + 1.5 * (upper - lower quartile) of the tensor, else zeroed.

    Importance is |delta| times the Kullback-Leibler divergence of the second model's row from the first's, each row
    (along the last axis; a tensor of one dimension is one row) made a distribution by softmax. Quartiles are exact, of
    all elements, linear between neighbours (mergekit takes a random million of larger tensors).
    """

    symmetric: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    identity: ClassVar[bool] = False
    needs: ClassVar[Needs] = "pair"
    scaled: ClassVar[bool] = False

    def check(self, weights: Sequence[float]) -> None:
        """What is kept is kept whole."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("arcee_fusion takes no weights", remedy="use task_arithmetic to scale a delta")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """None: what is kept depends on the numbers."""
        return None

    def over(self, group: Group) -> Flow:
        """The delta's important elements."""
        flow = group.flows[-1]
        important = _Important(flow, group.base)

        def pull(name: str, lo: int, hi: int) -> Float32:
            if flow.specs[name].numel == 0:
                return flow.pull(name, lo, hi)
            kept = important.of(name, lo, hi) >= important.threshold(name)
            return np.where(kept, flow.pull(name, lo, hi), np.float32(0))

        return Flow(flow.specs, pull, "", 0, flow.measures)


@dataclass(frozen=True)
class _Important:
    """The importance of elements, and what it has to reach: found once for each tensor, when it is first needed."""

    flow: Flow
    base: Pull
    divergences: dict[str, Float64] = field(default_factory=dict)
    thresholds: dict[str, np.float32] = field(default_factory=dict)

    def of(self, name: str, lo: int, hi: int) -> Float32:
        """Of rows lo..hi, (hi - lo, row_size)."""
        spec, delta = self.flow.specs[name], np.abs(self.flow.pull(name, lo, hi))
        if name not in self.divergences:  # two threads at one tensor would find the same
            self.divergences[name] = self._divergence(name, spec)
        found = self.divergences[name]
        if len(spec.shape) > 1:
            delta = delta.reshape(hi - lo, *spec.shape[1:])
            found = found[lo:hi, ..., None]
        return (delta * found).astype(np.float32).reshape(hi - lo, spec.row_size)

    def threshold(self, name: str) -> np.float32:
        """median + 1.5 * (upper - lower quartile)."""
        if name not in self.thresholds:
            spec = self.flow.specs[name]
            lower, median, upper = (self._quantile(name, spec, share) for share in (0.25, 0.5, 0.75))
            self.thresholds[name] = np.float32(median + 1.5 * (upper - lower))
        return self.thresholds[name]

    def _divergence(self, name: str, spec: TensorSpec) -> Float64:
        """Of every row, (rows, ...) without the last axis; of a tensor of one dimension a single number."""
        blocks = list(row_blocks(TensorSpec(spec.shape, "F32"), _STEP)) if len(spec.shape) > 1 else [(0, spec.rows)]
        shape = spec.shape[1:] if len(spec.shape) > 1 else ()
        found = []
        for lo, hi in blocks or [(0, 0)]:
            first, delta = (
                p(name, lo, hi).astype(np.float64).reshape((hi - lo, *shape)) for p in (self.base, self.flow.pull)
            )
            found.append(divergence(first, delta))
        made = np.concatenate(found) if shape else np.asarray(found[0])
        if not np.isfinite(made).all():
            raise InputError(f"tensor {name!r}: the models hold values that are not finite", remedy="check the models")
        return made

    def _quantile(self, name: str, spec: TensorSpec, share: float) -> float:
        place = share * (spec.numel - 1)
        low = math.floor(place)
        below = self._ranked(name, spec, low)
        return below + (place - low) * (self._ranked(name, spec, math.ceil(place)) - below)

    def _ranked(self, name: str, spec: TensorSpec, place: int) -> float:
        """The importance at a place in ascending order, counted from 0."""
        ranges = [(name, lo, hi) for lo, hi in row_blocks(TensorSpec(spec.shape, "F32"), _STEP)]
        return float(exact_threshold(ranges, self.of, place + 1, threads=1))


def divergence(first: Float64, delta: Float64) -> Float64:
    """KL(softmax(first + delta) || softmax(first)) along the last axis, at least 0."""
    if first.shape[-1] == 0:
        return np.zeros(first.shape[:-1])
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by name
        before = np.exp(first - first.max(axis=-1, keepdims=True))
        before /= before.sum(axis=-1, keepdims=True)
        most = delta.max(axis=-1, keepdims=True)
        after = before * np.exp(delta - most)
        size = after.sum(axis=-1, keepdims=True)
        mean = (after / size * delta).sum(axis=-1)
    return np.asarray(np.maximum(mean - (np.log(size) + most)[..., 0], 0.0))
