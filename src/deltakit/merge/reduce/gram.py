"""Lengths and angles of whole tensors, found by streaming, and the merges that depend on nothing else.

Slerp and its relatives, the Karcher mean and model stock all give, tensor by tensor, a combination of the models whose
coefficients follow from the models' inner products. Those are summed in float64 over ranges that are cut the same way
whoever asks, so neither the number of threads nor the range that is asked for changes a bit; no tensor is held whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.terms.base import Float32
from deltakit.errors import NonFiniteError, RecipeError
from deltakit.merge.method import Group
from deltakit.registry import did_you_mean
from deltakit.sparsify.flow import Flow, Pull
from deltakit.tensors import TensorSpec, row_blocks

__all__ = [
    "Combined",
    "Float64",
    "Statistic",
    "Vectors",
    "check_vectors",
    "combined",
    "gram_of",
    "seen_as",
    "sum_of",
    "total",
]

Float64 = NDArray[np.float64]
# What makes one vector: all elements of a tensor, those along its last axis, those along the axis before it. A tensor
# of one dimension is one vector.
Vectors = Literal["tensor", "row", "column"]
Rule = Callable[[Float64], Float64]  # inner products (N, N, ...) -> a coefficient for each of N vectors, (N, ...)

_STEP = 1 << 20  # bytes of float32 that are summed at a time
_NOTHING = 2.0**-40  # a change of the base this small is rounding noise of the inner products


def check_vectors(vectors: str) -> None:
    """RecipeError for a name that is none of the three."""
    known = ["tensor", "row", "column"]
    if vectors not in known:
        raise RecipeError(f"vectors {vectors!r} are not known", remedy=did_you_mean(vectors, known))


def seen_as(rows: Float32, spec: TensorSpec) -> Float32:
    """Rows (n, row_size) in the tensor's own dimensions, (n, ...)."""
    return rows.reshape(len(rows), *spec.shape[1:]) if len(spec.shape) > 1 else rows.reshape(-1)


def total(values: NDArray[Any], spec: TensorSpec, vectors: Vectors) -> Float64:
    """The sums over the parts of the vectors that lie in `values` (as `seen_as` gives them); summed axes are kept."""
    return np.asarray(values.sum(axis=_axis(spec, vectors), dtype=np.float64, keepdims=True))


def _axis(spec: TensorSpec, vectors: Vectors) -> int | None:
    if vectors == "tensor" or len(spec.shape) < 2:
        return None
    return -1 if vectors == "row" else -2


def _reach(spec: TensorSpec, vectors: Vectors) -> bool:
    """Vectors run through all rows of the tensor, so that a range of rows holds but a part of them."""
    return _axis(spec, vectors) is None or (vectors == "column" and len(spec.shape) == 2)


@dataclass(frozen=True)
class Statistic:
    """Sums over the vectors of each tensor: `at(name, lo, hi)` gives those over rows lo..hi, (k, ...) as `total` does.
    Where a vector runs through all rows they are found once, by a pass over the tensor."""

    specs: Mapping[str, TensorSpec]
    at: Callable[[str, int, int], Float64]
    vectors: Vectors = "tensor"
    found: dict[str, Float64] = field(default_factory=dict)

    def of(self, name: str, lo: int, hi: int) -> Float64:
        """The sums that hold for rows lo..hi. InputError naming a tensor where they are not finite."""
        if not _reach(self.specs[name], self.vectors):
            return self._sum(name, [(lo, hi)])
        if name not in self.found:  # two threads at one tensor would find the same
            spec = TensorSpec(self.specs[name].shape, "F32")
            self.found[name] = self._sum(name, list(row_blocks(spec, _STEP)) or [(0, 0)])
        return self.found[name]

    def _sum(self, name: str, ranges: Sequence[tuple[int, int]]) -> Float64:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by name
            sums = self.at(name, *ranges[0])
            for lo, hi in ranges[1:]:
                sums = sums + self.at(name, lo, hi)
        if not np.isfinite(sums).all():
            raise NonFiniteError(
                f"tensor {name!r}: the models hold values that are not finite", remedy="check the models"
            )
        return sums


def gram_of(pulls: Sequence[Pull], specs: Mapping[str, TensorSpec], vectors: Vectors = "tensor") -> Statistic:
    """The inner products of N vectors: the upper triangle in rows, (N * (N + 1) / 2, ...)."""

    def at(name: str, lo: int, hi: int) -> Float64:
        rows = [seen_as(pull(name, lo, hi), specs[name]).astype(np.float64) for pull in pulls]
        return np.stack([total(a * b, specs[name], vectors) for i, a in enumerate(rows) for b in rows[i:]])

    return Statistic(specs, at, vectors)


def square_of(triangle: Float64, n: int) -> Float64:
    """The inner products (N, N, ...) from what `gram_of` gives."""
    made = np.empty((n, n, *triangle.shape[1:]))
    upper = np.triu_indices(n)
    made[upper] = made[upper[::-1]] = triangle
    return made


def combined(group: Group, rule: Rule, vectors: Vectors = "tensor", *, deltas: bool) -> Flow:
    """The merged delta, where the rule finds the coefficients of the deltas, or of the models themselves."""
    flows = group.flows
    gram = gram_of([f.pull for f in flows] if deltas else group.models, flows[0].specs, vectors)
    pull = Combined(tuple(f.pull for f in flows), group.base, gram, rule, deltas)
    return Flow(flows[0].specs, pull, "", 0, tuple(m for f in flows for m in f.measures))


@dataclass(frozen=True)
class Combined:
    """The pull of a combination, by name, so that a fused kernel can tell what it computes: sum of c * delta, and where
    the coefficients are the models', sum of c * model = base + sum of c * delta + (sum of c - 1) * base."""

    deltas: tuple[Pull, ...]
    base: Pull
    gram: Statistic
    rule: Rule
    alone: bool  # the coefficients are the deltas', the base stays as it is

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        factors, rest = self.factors(name, lo, hi)
        spec = self.gram.specs[name]
        made = sum_of(self.deltas, factors, spec, name, lo, hi)
        return made + sum_of([self.base], rest[None], spec, name, lo, hi) if rest.any() else made

    def factors(self, name: str, lo: int, hi: int) -> tuple[Float64, Float64]:
        """Those of the deltas, (N, ...), and of what is added of the base, (...); with whole tensors as vectors they
        are the same for all ranges."""
        found = self.rule(square_of(self.gram.of(name, lo, hi), len(self.deltas)))
        rest = found.sum(axis=0) - 1.0
        return found, np.where(self.alone | (np.abs(rest) < _NOTHING), 0.0, rest)


def sum_of(pulls: Sequence[Pull], factors: Float64, spec: TensorSpec, name: str, lo: int, hi: int) -> Float32:
    """sum of factor * rows in float32, (hi - lo, row_size); factors (N, ...) as `Statistic` gives its sums."""
    pairs = zip(pulls, factors.astype(np.float32), strict=True)
    parts = [seen_as(pull(name, lo, hi), spec) * factor for pull, factor in pairs]
    made = parts[0]
    for part in parts[1:]:
        made = made + part
    return np.asarray(made.reshape(hi - lo, spec.row_size))
