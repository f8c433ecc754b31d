"""Exactly so many largest elements of a tensor, found by streaming: a magnitude, and an index where elements tie.

Elements are in the order of their magnitudes, the larger first, equal ones by their index. Memory is constant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.terms.base import Float32
from deltakit.sparsify.flow import Pull
from deltakit.sparsify.threshold import exact_threshold
from deltakit.tensors import TensorSpec, row_blocks

__all__ = ["Cut", "Cuts", "count_of", "find_cut"]


def count_of(share: float, size: int) -> int:
    """int(share * size), but at least one element of a share above 0 and at most all."""
    return min(size, max(1, int(share * size))) if share > 0 else 0


@dataclass(frozen=True)
class Cut:
    """Elements of a magnitude above `size` are on its inner side, and those that equal it whose index lies below
    `before`."""

    size: np.float32
    before: int

    def holds(self, values: Float32, start: int) -> NDArray[np.bool_]:
        """Which of a range's elements are on the inner side; `start` is the index of the first."""
        sizes = np.abs(values)
        ties = np.arange(start, start + values.size).reshape(values.shape) < self.before
        held: NDArray[np.bool_] = (sizes > self.size) | ((sizes == self.size) & ties)
        return held


def find_cut(name: str, spec: TensorSpec, pull: Pull, count: int) -> Cut:
    """The cut around the `count` first elements of a tensor. Pulls it three times.

    Raises InputError naming the tensor where a value is not finite.
    """
    if count <= 0:
        return Cut(np.float32(np.inf), 0)
    if count >= spec.numel:
        return Cut(np.float32(0), spec.numel)
    ranges = [(name, lo, hi) for lo, hi in row_blocks(spec)]
    size = exact_threshold(ranges, pull, spec.numel - count + 1, threads=1)
    above, ties = 0, []
    for at in ranges:
        sizes = np.abs(pull(*at))
        above += int(np.count_nonzero(sizes > size))
        ties.append(int(np.count_nonzero(sizes == size)))
    wanted = count - above  # at least one: the cut goes through an element
    for (_, lo, hi), found in zip(ranges, ties, strict=True):
        if wanted <= found:
            index = np.flatnonzero(np.abs(pull(name, lo, hi)).ravel() == size)[wanted - 1]
            return Cut(size, lo * spec.row_size + int(index) + 1)
        wanted -= found
    raise AssertionError("the ranks of a tensor's elements are below its size")


@dataclass(frozen=True)
class Cuts:
    """The cuts of the tensors behind a pull, each found once, when it is first needed."""

    pull: Pull
    found: dict[tuple[str, int], Cut] = field(default_factory=dict)

    def of(self, name: str, spec: TensorSpec, count: int) -> Cut:
        """The cut around the `count` first elements of a tensor."""
        key = (name, count)
        if key not in self.found:  # two threads at one tensor would find the same
            self.found[key] = find_cut(name, spec, self.pull, count)
        return self.found[key]
