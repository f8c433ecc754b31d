"""A model seen in another vocabulary: its tables with rows gathered from itself, other models, or made."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.merge.tokens.assign import AVERAGE, MEAN, ZERO, Assignment, Rows
from deltakit.tensors import TensorMap, TensorSpec, as_bytes, cast_bytes, from_float32, prefetch, row_blocks, to_float32

__all__ = ["Gathered"]

_GAP = 64  # rows between two wanted ones up to which both are read at once
_AT_ONCE = 16 << 20  # bytes
_WIDTH = ("BF16", "F16", "F32", "F64")
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Gathered:
    """The model `label` of `maps` (all models by label, in the assignment's order) in the output vocabulary: every
    tensor of `tables` has the assignment's rows, all others are as they were. A table has the widest dtype that it has
    in any model, so that no borrowed row is rounded."""

    label: str
    maps: Mapping[str, TensorMap]
    tables: tuple[str, ...]
    assignment: Assignment
    _means: dict[str, memoryview] = field(default_factory=dict, compare=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def source(self) -> TensorMap:
        """The model as it was."""
        return self.maps[self.label]

    @property
    def unchanged(self) -> bool:
        """Whether the model looks as it did."""
        origin, rows = self._origins
        stays = bool((origin == self._number).all()) and bool((rows == np.arange(len(rows))).all())
        return stays and dict(self.specs) == dict(self.source.specs)

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Sorted by name."""
        return {n: self._spec(n, s) for n, s in self.source.specs.items()}

    @property
    def order(self) -> tuple[str, ...]:
        """As the tensors lie on disk, where that is known."""
        return tuple(getattr(self.source, "order", self.source.specs))

    def prefetch(self, name: str) -> None:
        """Pass the hint on."""
        prefetch(self.source, name)

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows lo..hi; without a copy where they lie in the model one behind the other."""
        spec = self.specs[name]
        hi = spec.rows if hi is None else hi
        if name not in self.tables:
            return self.source.buffer(name, lo, hi)
        origin, rows = self._origins[0][lo:hi], self._origins[1][lo:hi]
        own = self.source.specs[name].dtype == spec.dtype and bool((origin == self._number).all())
        if own and hi > lo and bool((np.diff(rows) == 1).all()):
            return self.source.buffer(name, int(rows[0]), int(rows[-1]) + 1)
        out = np.zeros((hi - lo, spec.row_size * spec.itemsize), np.uint8)
        for code in np.unique(origin):
            at = np.flatnonzero(origin == code)
            if code == MEAN:
                out[at] = self._mean(name, at + lo)
            elif code == AVERAGE:
                out[at] = np.frombuffer(self._average(name), np.uint8)
            elif code != ZERO:
                out[at] = self._rows(name, self.assignment.labels[int(code)], rows[at])
        return as_bytes(out)

    @cached_property
    def _number(self) -> int:
        return self.assignment.labels.index(self.label)

    @cached_property
    def _origins(self) -> tuple[Rows, Rows]:
        """For each output row the number of the model (or ZERO, MEAN, AVERAGE), and the row there."""
        a = self.assignment
        borrowed = (a.own[self.label] < 0) | a.forced
        return np.where(borrowed, a.pick, self._number), np.where(borrowed, a.pick_row, a.own[self.label])

    def _spec(self, name: str, spec: TensorSpec) -> TensorSpec:
        if name not in self.tables:
            return spec
        dtypes = {m.specs[name].dtype for m in self.maps.values()}
        widest = "F32" if dtypes == {"BF16", "F16"} else max(dtypes, key=_WIDTH.index)
        return TensorSpec((self.assignment.rows, *spec.shape[1:]), widest)

    def _rows(self, name: str, label: str, rows: Rows) -> Bytes:
        """Rows of a model in the given order, as bytes of the output dtype."""
        source, spec = self.maps[label], self.maps[label].specs[name]
        stride = spec.row_size * spec.itemsize
        out = np.empty((len(rows), stride), np.uint8)
        order = np.argsort(rows, kind="stable")
        for lo, hi in _stretches(rows[order], max(1, _AT_ONCE // max(1, stride))):
            first, last = int(rows[order[lo]]), int(rows[order[hi - 1]])
            raw = np.frombuffer(source.buffer(name, first, last + 1), np.uint8).reshape(-1, stride)
            out[order[lo:hi]] = raw[rows[order[lo:hi]] - first]
        cast = np.frombuffer(cast_bytes(as_bytes(out), spec.dtype, self.specs[name].dtype), np.uint8)
        return cast.reshape(len(rows), -1)

    def _mean(self, name: str, at: Rows) -> Bytes:
        """The mean of the rows of all models that have one, in float32 with one rounding."""
        spec = self.specs[name]
        total = np.zeros((len(at), spec.row_size), np.float32)
        count = np.zeros((len(at), 1), np.float32)
        for label in self.assignment.labels:
            own = self.assignment.own[label][at]
            have = np.flatnonzero(own >= 0)
            if have.size:
                total[have] += to_float32(as_bytes(self._rows(name, label, own[have])), spec.dtype).reshape(
                    len(have), -1
                )
                count[have] += 1
        return np.frombuffer(as_bytes(from_float32(total / count, spec.dtype)), np.uint8).reshape(len(at), -1)

    def _average(self, name: str) -> memoryview:
        """The mean of all rows that the model has, once."""
        with self._lock:
            if name not in self._means:
                old, spec = self.source.specs[name], self.specs[name]
                total = np.zeros(spec.row_size, np.float64)
                for lo, hi in row_blocks(old):
                    total += to_float32(self.source.buffer(name, lo, hi), old.dtype).reshape(hi - lo, -1).sum(0, "f8")
                mean = (total / max(1, old.rows)).astype(np.float32)
                self._means[name] = as_bytes(from_float32(mean, spec.dtype))
            return self._means[name]


def _stretches(ordered: Rows, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of sorted rows that lie so near each other that each is read in one go, of at most so many rows."""
    near = np.diff(ordered) <= _GAP
    together = np.diff((ordered - ordered[:1]) // most) == 0
    edges = [0, *(np.flatnonzero(~(near & together)) + 1).tolist(), len(ordered)]
    for lo, hi in zip(edges[:-1], edges[1:], strict=True):
        if hi > lo:
            yield lo, hi
