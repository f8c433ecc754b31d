"""Slerp, NuSLERP and Multi-SLERP with every step rounded to the dtype of the tensors, as mergekit 0.1.5 computes them
(its outputs were compared; its source was not read)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.merge.compute.arithmetic import FLOAT32, Arithmetic
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Statistic, Vectors
from deltakit.merge.reduce.nuslerp import place_of
from deltakit.merge.reduce.slerp import PARALLEL
from deltakit.merge.reduce.stepwise import Stepper, Stepwise, length
from deltakit.sparsify.flow import Flow

__all__ = ["StepwiseMultislerp", "StepwiseNuslerp", "StepwiseSlerp"]

_EPS = 1e-8


def _units(stepper: Stepper, sizes: Statistic, name: str, lo: int, hi: int) -> tuple[list[Float32], list[Float32]]:
    """(rows, rows over their lengths)."""
    rows, lengths = stepper.rows(name, lo, hi), length(sizes.of(name, lo, hi), stepper.arithmetic)
    return rows, [_unit(stepper.arithmetic, r, n, _EPS) for r, n in zip(rows, lengths, strict=True)]


def _unit(a: Arithmetic, row: Float32, size: Float32, eps: float) -> Float32:
    """A row over its length; a zero one stays so, also where float16 takes eps for zero."""
    below = a.add(size, eps)
    return a.div(row, np.where(below == 0, np.float32(1), below))


def _sizes(stepper: Stepper) -> Statistic:
    return stepper.sums(lambda *at: [r * r for r in _wide(stepper.rows(*at))])


def _wide(rows: list[Float32]) -> list[Float32]:
    return [r.astype(np.float64) for r in rows]


@dataclass(frozen=True)
class StepwiseSlerp(Stepwise):
    """Slerp in float32 whatever the dtype; a zero tensor lies at a right angle to all."""

    needs: ClassVar[Needs] = "pair"
    t: float

    def over(self, group: Group) -> Flow:
        """The first model is the base."""
        stepper = Stepper(group, (group.base, group.models[-1]))
        sizes = _sizes(stepper)

        def units(name: str, lo: int, hi: int) -> tuple[Float32, Float32]:
            found = zip(stepper.rows(name, lo, hi), length(sizes.of(name, lo, hi), FLOAT32), strict=True)
            one, other = (np.asarray(r / n if n > _EPS else r) for r, n in found)
            return one, other

        dots = stepper.sums(lambda *at: [np.multiply(*units(*at))])

        def made(name: str, lo: int, hi: int) -> Float32:
            dot = dots.of(name, lo, hi)[0].astype(np.float32)
            first, second = stepper.rows(name, lo, hi)
            if abs(dot) > PARALLEL:
                bent = np.float32(1 - self.t) * first + np.float32(self.t) * second
            else:
                angle = np.arccos(dot)
                turned = angle * np.float32(self.t)
                bent = np.sin(angle - turned) / np.sin(angle) * first + np.sin(turned) / np.sin(angle) * second
            return stepper.arithmetic.round(bent)

        return stepper.flow(made)


@dataclass(frozen=True)
class StepwiseNuslerp(Stepwise):
    """NuSLERP: bent wherever the rounded cosine is not 1 or -1."""

    most: ClassVar[int] = 2
    vectors: Vectors = "tensor"

    def over(self, group: Group) -> Flow:
        """Of the deltas over a named base, else of the models."""
        pulls = tuple(f.pull for f in group.flows) if group.based else group.models
        stepper, t, a = Stepper(group, pulls, self.vectors), place_of(group.weights), group.arithmetic
        sizes = _sizes(stepper)
        dots = stepper.sums(lambda *at: [a.mul(*_units(stepper, sizes, *at)[1])])

        def made(name: str, lo: int, hi: int) -> Float32:
            first, second = stepper.rows(name, lo, hi)
            cosine = np.clip(a.round(dots.of(name, lo, hi)[0]), -1, 1)
            angle = a.round(np.arccos(cosine))
            from_first = a.mul(a.round(np.sin(a.mul(angle, 1 - t))), first)
            from_second = a.mul(a.round(np.sin(a.mul(angle, t))), second)
            flat = np.abs(cosine) >= 1
            sine = np.where(flat, np.float32(1), a.round(np.sin(angle)))
            bent = a.div(a.add(from_first, from_second), sine)
            moved = np.where(flat, a.add(a.mul(first, 1 - t), a.mul(second, t)), bent)
            return a.add(stepper.base(name, lo, hi), moved) if group.based else moved

        return stepper.flow(made)


@dataclass(frozen=True)
class StepwiseMultislerp(Stepwise):
    """Multi-SLERP with its step in the tangent plane, which is none but for rounding."""

    normalize: bool = True
    eps: float = _EPS

    def over(self, group: Group) -> Flow:
        """Of the deltas over a named base, else of the models."""
        pulls = tuple(f.pull for f in group.flows) if group.based else group.models
        plane = _Plane(Stepper(group, pulls), self._weights(group), self.eps)

        def made(name: str, lo: int, hi: int) -> Float32:
            merged = plane.merged(name, lo, hi)
            return group.arithmetic.add(plane.stepper.base(name, lo, hi), merged) if group.based else merged

        return plane.stepper.flow(made)

    def _weights(self, group: Group) -> Float32:
        a = group.arithmetic
        weights = a.round(np.array(group.weights, np.float32))
        return a.div(weights, a.round(weights.sum())) if self.normalize else weights


class _Plane:
    """The tangent plane at the mean direction of each tensor, by four passes of sums."""

    def __init__(self, stepper: Stepper, weights: Float32, eps: float) -> None:
        self.stepper, self.weights, self.eps, self.a = stepper, weights, eps, stepper.arithmetic
        self.sizes = _sizes(stepper)
        self.middles = stepper.sums(lambda *at: _wide([_squared(self._sum(self._units(*at)))]))
        self.cosines = stepper.sums(lambda *at: [self.a.mul(u, self._middle(*at)) for u in self._units(*at)])
        self.steps = stepper.sums(lambda *at: [_squared(self._step(*at))])

    def merged(self, name: str, lo: int, hi: int) -> Float32:
        """The direction reached, at the weighted mean of the lengths."""
        a, middle = self.a, self._middle(name, lo, hi)
        size = length(self.steps.of(name, lo, hi)[0], a)
        if size >= self.eps:
            along = a.mul(self._step(name, lo, hi), a.div(a.round(np.sin(size)), size))
            middle = a.add(a.mul(middle, a.round(np.cos(size))), along)
        lengths = length(self.sizes.of(name, lo, hi), a)
        return a.mul(middle, self._sum(list(lengths)))

    def _units(self, name: str, lo: int, hi: int) -> list[Float32]:
        rows, lengths = self.stepper.rows(name, lo, hi), length(self.sizes.of(name, lo, hi), self.a)
        return [_unit(self.a, r, n, self.eps) for r, n in zip(rows, lengths, strict=True)]

    def _sum(self, parts: list[Float32]) -> Float32:
        return self.a.sum([self.a.mul(p, w) for p, w in zip(parts, self.weights, strict=True)])

    def _middle(self, name: str, lo: int, hi: int) -> Float32:
        size = length(self.middles.of(name, lo, hi)[0], self.a)
        mean = self._sum(self._units(name, lo, hi))
        return self.a.div(mean, size) if size >= self.eps else mean

    def _step(self, name: str, lo: int, hi: int) -> Float32:
        a, middle = self.a, self._middle(name, lo, hi)
        cosines = a.round(self.cosines.of(name, lo, hi).astype(np.float32))
        parts = zip(self._units(name, lo, hi), cosines, strict=True)
        return self._sum([a.sub(u, a.mul(middle, c)) for u, c in parts])


def _squared(values: Float32) -> Float32:
    return np.square(values.astype(np.float64))
