"""One model's delta on its way through a pipeline: free specs, lazy ranges, and what must be measured ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from deltakit import rng
from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.expression import Delta, Entry
from deltakit.delta.site import Site
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.sparse import Sparse
from deltakit.tensors import TensorSpec

__all__ = ["Factors", "Flow", "Grain", "Pull", "Transform", "flow_of", "through"]

Grain = Literal["element", "row", "tensor", "model"]
Factors = tuple[Float32, Float32]
Pull = Callable[[str, int, int], Float32]  # (tensor name, first row, end) -> float32 (rows, row_size)


@dataclass(frozen=True)
class Flow:
    """The shared float tensors of one delta. `model` and `seed` key its random masks; `measures` are passes over the
    data that may run ahead of the first pull (with progress); what is not measured ahead is measured when needed."""

    specs: Mapping[str, TensorSpec]
    pull: Pull
    model: str
    seed: int
    measures: tuple[Callable[[Progress], None], ...] = ()
    drawn: Callable[[str], tuple[int, ...]] = lambda name: ()  # keys of the masks that a tensor was dropped with
    factors: Callable[[str], Factors | None] = lambda name: None  # (rows, r) and (columns, r) of a delta that has them
    calibrator: Any = None  # for primitives that look at text: `deltakit.merge.compute.calibration.Calibrator`

    def site(self, name: str, lo: int) -> Site:
        """Where rows from `lo` of a tensor lie."""
        return Site(name, self.model, self.seed, lo * self.specs[name].row_size)

    def measure(self, progress: Progress = silent) -> None:
        """Run all passes ahead, in pipeline order."""
        for run in self.measures:
            run(progress)

    def with_pull(self, pull: Pull, *measures: Callable[[Progress], None]) -> Flow:
        """The flow behind one more step."""
        return replace(self, pull=pull, measures=self.measures + measures, factors=lambda name: None)


class Transform(Protocol):
    """A primitive: a frozen dataclass whose fields are its parameters."""

    grain: ClassVar[Grain]  # the least range that it can be computed on

    @property
    def idle(self) -> bool:
        """True where the parameters leave every delta as it is."""
        ...

    @property
    def unbiased(self) -> bool:
        """True where the mean over seeds is the delta itself."""
        ...

    def on(self, flow: Flow) -> Flow:
        """The flow behind this step."""
        ...


def flow_of(delta: Delta, *, model: str, seed: int, specs: Mapping[str, TensorSpec] | None = None) -> Flow:
    """The rows of a bound delta that it shares with its base, of the tensors that hold floats. `specs`, where they are
    known, spare looking at every entry."""
    if specs is None:
        specs = {n: delta.entries[n].shared_spec for n, s in delta.specs.items() if s.is_float}

    def drawn(name: str) -> tuple[int, ...]:
        terms = [part.term for part in delta.entries[name].parts]
        stored = [t.key for t in terms if isinstance(t, Sparse) and t.key is not None]
        return (*stored, *_noted(delta.lineage.note, name))

    return Flow(specs, delta.rows, model, seed, drawn=drawn, factors=lambda name: _factors(delta.entries[name]))


def _factors(entry: Entry) -> Factors | None:
    """The factors of a matrix whose terms are products, side by side; scales lie on the left."""
    terms = [part.term for part in entry.parts if isinstance(part.term, LowRank)]
    if len(entry.spec.shape) != 2 or len(terms) != len(entry.parts):
        return None
    rows, columns = entry.spec.shape
    left, right = [np.empty((rows, 0), np.float32)], [np.empty((columns, 0), np.float32)]
    for part, term in zip(entry.parts, terms, strict=True):
        u, s, v = term.factors()
        left.append(u * (s * np.float32(part.coef)))
        right.append(v)
    return np.concatenate(left, axis=1), np.concatenate(right, axis=1)


def through(flow: Flow, steps: Sequence[Transform]) -> Flow:
    """The flow behind several steps, in their order."""
    return reduce(lambda at, step: step.on(at), steps, flow)


def _noted(note: Any, name: str) -> Iterator[int]:
    """The masks that a delta's notes tell of: behind other steps a mask is stored as a bitmap, without its key."""
    while isinstance(note, Mapping) and isinstance(made := note.get("sparsify"), Mapping):
        seed, model = made.get("seed"), made.get("model")
        random = any(f"{step}(" in str(made.get("each")) for step in ("drop", "magprune"))
        if random and isinstance(seed, int) and isinstance(model, str):
            yield rng.key(seed, model, name)
        note = made.get("of")
