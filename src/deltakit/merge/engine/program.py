"""What a kernel has to compute for one tensor: a merge's pulls, read back into tables of sources and steps.

A program is made where everything in a composition is known by name and every model is plain bytes; where it is not,
`NoKernel` says so, and the numpy form serves. No numba import: making a program costs nothing but the measurements
that the composition needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit import rng
from deltakit.delta.expression import Delta, Part
from deltakit.delta.terms.ref import Ref
from deltakit.merge.compute.pulls import BaseRows, TermRows
from deltakit.sparsify.breadcrumbs import Crumbs
from deltakit.sparsify.drop import Dropped, mask_key
from deltakit.sparsify.flow import Flow, Pull
from deltakit.sparsify.magprune import MagPruned
from deltakit.sparsify.pulled import Pulled
from deltakit.sparsify.trim import Thresholds, Trimmed
from deltakit.tensors import TensorMap, TensorSpec

__all__ = [
    "KINDS",
    "Member",
    "NoKernel",
    "Program",
    "Reader",
    "Source",
    "Step",
    "Tables",
    "columns",
    "exactly",
    "worth",
]

KINDS = {"BF16": 0, "F16": 1, "F32": 2}  # the dtypes of kernels
DROP, TRIM, CRUMBS, PRUNE = 0, 1, 2, 3  # the codes of steps
BLOCK = 1024  # elements that a kernel takes at a time, where no row is ranked
WORTH = 1 << 22  # elements of a model from which on loading the kernels pays
_LONGEST = 1 << 16  # elements of a row that a kernel ranks


def worth(specs: Mapping[str, TensorSpec]) -> bool:
    """Whether a model is large enough for loading the kernels to pay."""
    return sum(s.numel for s in specs.values()) >= WORTH


class NoKernel(Exception):
    """The composition, or a model in it, is none that a kernel knows."""


@dataclass(frozen=True)
class Source:
    """A tensor of a map whose bytes a kernel reads."""

    tensors: TensorMap
    name: str

    @property
    def kind(self) -> int:
        """The code of its dtype."""
        return KINDS[self.tensors.specs[self.name].dtype]


@dataclass(frozen=True)
class Step:
    """A primitive: DROP keeps lanes of `key` up to `limit`, times `value`; TRIM keeps magnitudes from `value` on. Those
    that rank rows of `row` elements: CRUMBS keeps the ranks from key's low half to its high half; PRUNE keeps the lane
    of rank r below `limits[r]`, times `factors[r]`."""

    code: int
    key: int = 0
    limit: int = 0
    value: float = 0.0
    row: int = 0
    limits: NDArray[np.uint64] | None = None
    factors: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Member:
    """One delta: the sum of coefficient * (source - base), behind its steps."""

    parts: tuple[tuple[Source, float], ...]
    steps: tuple[Step, ...] = ()


Tables = tuple[Any, ...]


@dataclass(frozen=True)
class Program:
    """The deltas of one tensor over its base."""

    base: Source
    members: tuple[Member, ...]
    fixed: Tables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = [(j, i) for i, (j, _, _) in enumerate(self._parts, 1)]
        steps = [(j, s) for j, m in enumerate(self.members) for s in m.steps]
        fixed = (
            np.array([s.kind for s in self.sources], np.int64),
            np.array(parts, np.int64).reshape(-1, 2),
            np.array([c for _, _, c in self._parts], np.float32),
            np.array([(j, s.code) for j, s in steps], np.int64).reshape(-1, 2),
            *columns([s for _, s in steps]),
        )
        object.__setattr__(self, "fixed", fixed)

    @property
    def _parts(self) -> list[tuple[int, Source, float]]:
        return [(j, source, coef) for j, m in enumerate(self.members) for source, coef in m.parts]

    @property
    def block(self) -> int:
        """Elements that a kernel takes at a time: a row, where rows are ranked."""
        return max((s.row for m in self.members for s in m.steps), default=0) or BLOCK

    @property
    def sources(self) -> tuple[Source, ...]:
        """The base, then what the parts read."""
        return (self.base, *(source for _, source, _ in self._parts))

    def over(self, lo: int, hi: int) -> tuple[Tables, list[Any]]:
        """The tables of rows lo..hi, and the arrays whose addresses are in them, which must outlive the call."""
        held = [np.frombuffer(s.tensors.buffer(s.name, lo, hi), np.uint8) for s in self.sources]
        addresses = np.array([a.__array_interface__["data"][0] for a in held], np.uint64)
        return (addresses, *self.fixed), held


def columns(steps: Sequence[Step]) -> Tables:
    """keys uint64, limits uint32, values float32; and by rank limits uint64 and factors float32, (steps, row)."""
    row = max((s.limits.size for s in steps if s.limits is not None), default=0)
    limits, factors = np.zeros((len(steps), row), np.uint64), np.zeros((len(steps), row), np.float32)
    for k, s in enumerate(steps):
        if s.limits is not None and s.factors is not None:
            limits[k], factors[k] = s.limits, s.factors
    return (
        np.array([s.key for s in steps], np.uint64),
        np.array([s.limit for s in steps], np.uint32),
        np.array([s.value for s in steps], np.float32),
        limits,
        factors,
    )


def exactly(dtype: str, to: str) -> bool:
    """Whether every value of a dtype is one of the other, so that reading it as such rounds nothing."""
    return dtype == to or (dtype in ("BF16", "F16") and to == "F32")


@dataclass(frozen=True)
class Reader:
    """Reads the pulls of one tensor. `threshold` finds what a trim keeps."""

    name: str
    base: Source
    threshold: Callable[[Thresholds, str], np.float32]

    def member(self, pull: Pull) -> Member:
        """The delta that a pull gives. NoKernel if it is none of those known."""
        if isinstance(pull, Dropped):
            return self._then(pull.flow, self.drop(pull))
        if isinstance(pull, Trimmed):
            flow = pull.thresholds.flow
            return self._then(flow, self.trim(pull))
        if isinstance(pull, Crumbs) and pull.step.scope == "row":
            row = self._row(pull.flow)
            first, end = pull.step.band(row)
            return self._then(pull.flow, Step(CRUMBS, first | end << 32, row=row))
        if isinstance(pull, MagPruned):
            row = self._row(pull.flow)
            limits, factors = pull.step.thresholds(row), pull.step.factors(row)
            return self._then(pull.flow, Step(PRUNE, mask_key(pull.flow, self.name), 0, 0.0, row, limits, factors))
        delta = getattr(pull, "__self__", None)
        if isinstance(delta, Delta) and pull == delta.rows:
            return Member(tuple(self.part(p) for p in delta.entries[self.name].parts))
        raise NoKernel(f"{pull!r} is no pull that a kernel knows")

    def _then(self, flow: Flow, step: Step) -> Member:
        before = self.member(flow.pull)
        return Member(before.parts, (*before.steps, step))

    def _row(self, flow: Flow) -> int:
        """The length of the rows that are ranked. NoKernel for a vector, which is one row however it is cut."""
        shape = flow.specs[self.name].shape
        if len(shape) < 2 or not 0 < shape[-1] <= _LONGEST:
            raise NoKernel(f"{self.name}: rows that a kernel does not rank")
        return shape[-1]

    def drop(self, pull: Dropped) -> Step:
        """The mask of a tensor."""
        limit = rng.threshold(pull.drop.density) - 1
        return Step(DROP, mask_key(pull.flow, self.name), limit, pull.drop.factor)

    def trim(self, pull: Trimmed) -> Step:
        """The magnitude from which on a tensor's elements are kept."""
        return Step(TRIM, 0, 0, float(self.threshold(pull.thresholds, self.name)))

    def part(self, part: Part) -> tuple[Source, float]:
        """A difference of two plain tensors, and its coefficient."""
        term = part.term
        if isinstance(term, Pulled) and isinstance(term.pull, TermRows):
            term = term.pull.term
        if not isinstance(term, Ref) or term.base is not self.base.tensors or term.name != self.name:
            raise NoKernel(f"{self.name}: a {term.kind} term")
        tuned = term.tuned.specs[term.name].dtype
        if tuned not in KINDS or not exactly(self.dtype, term.spec.dtype) or tuned != term.spec.dtype:
            raise NoKernel(f"{self.name}: dtypes {self.dtype} and {tuned}")
        return Source(term.tuned, term.name), part.coef

    @property
    def dtype(self) -> str:
        """The base's dtype."""
        return self.base.tensors.specs[self.name].dtype

    def check_base(self, pull: Pull) -> None:
        """NoKernel unless a pull gives this base's rows, unrounded."""
        known = isinstance(pull, BaseRows) and pull.base is self.base.tensors
        if not known or not exactly(self.dtype, pull.specs[self.name].dtype):  # type: ignore[attr-defined]
            raise NoKernel(f"{self.name}: another base")
