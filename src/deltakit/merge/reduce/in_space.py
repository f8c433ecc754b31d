"""Any method on the coordinates of matrices in a basis that the models share; all other tensors as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from deltakit.checkpoint.pump import cores
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.once import Once, Whole
from deltakit.delta.terms.base import Float32
from deltakit.errors import InputError, RecipeError
from deltakit.merge.compute.spaces import Coordinates, Space
from deltakit.merge.compute.whole import pull_whole
from deltakit.merge.method import Group, Method, Needs
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.merge.reduce.per_matrix import PerMatrix, is_matrix
from deltakit.merge.reduce.weighted_sum import WeightedSum
from deltakit.sparsify.flow import Factors, Flow, through
from deltakit.tensors import TensorSpec

__all__ = ["InSpace"]


@dataclass(frozen=True)
class InSpace:
    """`merger` on coordinates in `space`, and back. Its thresholds and masks are over the coordinates."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    space: Space
    merger: Method

    def __post_init__(self) -> None:
        if not isinstance(self.merger.reduce, WeightedSum | ElectedMean | PerMatrix):
            raise RecipeError(
                f"merger {type(self.merger.reduce).__name__} needs models, not coordinates",
                remedy="use task_arithmetic, ties, dare_linear, dare_ties, tsv_m, iso_c or iso_cts",
            )

    @property
    def identity(self) -> bool:
        """Nothing is lost on the way."""
        return self.merger.identity

    def check(self, weights: Sequence[float]) -> None:
        """What the merger says."""
        self.merger.reduce.check(weights)

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A sum of coordinates is the coordinates of the sum."""
        idle = all(s.idle for s in (*self.merger.each, *self.merger.post))
        return self.merger.reduce.coefficients(weights) if idle else None

    def over(self, group: Group) -> Flow:
        """The merged delta; a matrix is computed when it is first asked for."""
        aligned = Aligned(group.flows, self.space)
        flows = [
            through(replace(f, specs=aligned.specs, factors=lambda name: None, pull=AlignedRows(aligned, i)), steps)
            for i, (f, steps) in enumerate(zip(group.flows, [self.merger.each] * len(group.flows), strict=True))
        ]
        merged = self.merger.reduce.over(replace(group, flows=tuple(flows), models=()))
        lifted = Lifted(aligned, through(merged, self.merger.post))
        return Flow(group.flows[0].specs, lifted, "", 0, lifted.merged.measures)


@dataclass(frozen=True)
class Aligned:
    """The coordinates of all models, matrix by matrix."""

    flows: tuple[Flow, ...]
    space: Space
    found: Once[Coordinates] = field(init=False)
    specs: Mapping[str, TensorSpec] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", Once(self._find, kept=cores() + 1))
        object.__setattr__(self, "specs", _Specs(self))

    def factors(self, name: str) -> list[Factors] | None:
        """Of every model, if each has them."""
        found = [f.factors(name) for f in self.flows]
        known = [f for f in found if f is not None]
        return known if len(known) == len(found) else None

    def is_aligned(self, name: str) -> bool:
        """Whether a tensor is a linear map; an embedding is where it has factors."""
        spec = self.flows[0].specs[name]
        if len(spec.shape) != 2 or not is_matrix(name, spec, len(self.flows), embeddings=True):
            return False
        return is_matrix(name, spec, len(self.flows)) or self.factors(name) is not None

    def shape(self, name: str) -> tuple[int, int]:
        """Of the coordinates."""
        factors = self.factors(name)
        rank = None if factors is None else sum(u.shape[1] for u, _ in factors)
        return self.space.shape(self.flows[0].specs[name].shape, len(self.flows), rank)

    def _find(self, name: str) -> Coordinates:
        factors, size = self.factors(name), self.shape(name)
        with one_thread():
            if factors is not None:
                return self.space.of_factors(factors, size)
            deltas = [pull_whole(f.pull, f.specs, name) for f in self.flows]
            if not all(np.isfinite(d).all() for d in deltas):
                raise InputError(
                    f"tensor {name!r}: the deltas hold values that are not finite", remedy="check the models"
                )
            return self.space.of_matrices(deltas, size)


@dataclass(frozen=True)
class AlignedRows:
    """The pull of one model's coordinates."""

    aligned: Aligned
    model: int

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        if not self.aligned.is_aligned(name):
            return self.aligned.flows[self.model].pull(name, lo, hi)
        return self.aligned.found.of(name).parts[self.model][lo:hi]


@dataclass(frozen=True)
class Lifted:
    """The pull of merged coordinates as matrices."""

    aligned: Aligned
    merged: Flow
    made: Whole = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "made", Whole(self._lift, kept=cores() + 1))

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        return (self.made.pull if self.aligned.is_aligned(name) else self.merged.pull)(name, lo, hi)

    def _lift(self, name: str) -> Float32:
        part = pull_whole(self.merged.pull, self.aligned.specs, name)
        with one_thread():
            return self.aligned.found.of(name).lift(part)


class _Specs(Mapping[str, TensorSpec]):
    """Specs of coordinates, found when asked for: the ranks of factors stand in the adapters."""

    def __init__(self, aligned: Aligned) -> None:
        self._aligned = aligned

    def __getitem__(self, name: str) -> TensorSpec:
        spec = self._aligned.flows[0].specs[name]
        return TensorSpec(self._aligned.shape(name), spec.dtype) if self._aligned.is_aligned(name) else spec

    def __iter__(self) -> Iterator[str]:
        return iter(self._aligned.flows[0].specs)

    def __len__(self) -> int:
        return len(self._aligned.flows[0].specs)
