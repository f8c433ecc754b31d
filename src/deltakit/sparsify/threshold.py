"""The exact magnitude below which a share of the elements lies, found by streaming: two histograms, no sorting.

The bits of a float32 magnitude, read as an integer, are in the order of the magnitudes. The first pass counts their
high 16 bits, the second the low 16 bits of those in the one bin that the wanted rank falls into. Memory is constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.delta.terms.base import Float32
from deltakit.errors import NonFiniteError, RecipeError

__all__ = ["check_density", "exact_threshold", "rank_of"]

_INFINITY = 0x7F80
Range = tuple[str, int, int]  # tensor name, first row, end
Pull = Callable[[str, int, int], Float32]


def check_density(density: float) -> None:
    """RecipeError unless 0 < density <= 1."""
    if not 0.0 < density <= 1.0:
        raise RecipeError(f"density {density} is not in (0, 1]", remedy="density is the share that is kept, e.g. 0.2")


def rank_of(density: float, count: int) -> int:
    """Which of `count` magnitudes, counted from the smallest (1-based), is the threshold; 0: all are kept.

    As in the official TIES code: count - int(density * count), so that int(density * count) + 1 elements and those that
    tie with the smallest of them are kept.
    """
    return count - int(density * count)


def exact_threshold(
    ranges: Sequence[Range], pull: Pull, rank: int, threads: int = 0, progress: Progress = silent
) -> np.float32:
    """The `rank`-th smallest magnitude of all ranges; 0 for rank 0. Pulls each range twice, `threads` at a time.

    Raises InputError naming a tensor with a value that is not finite.
    """
    if rank <= 0:
        return np.float32(0)

    def count(digits: Callable[[NDArray[np.uint32], str], NDArray[np.uint32]]) -> NDArray[np.int64]:
        counts = np.zeros(1 << 16, np.int64)
        with closing(pump(ranges, lambda r: _count(pull, r, digits), threads=threads)) as found:
            for (name, _, _), (some, size) in found:
                counts += some
                progress.advance(size, name)
        return counts

    high, below = _bin(count(_high), rank)
    low, _ = _bin(count(lambda bits, name: _low(bits, high)), rank - below)
    return np.uint32(high << 16 | low).view(np.float32)


def _count(
    pull: Pull, at: Range, digits: Callable[[NDArray[np.uint32], str], NDArray[np.uint32]]
) -> tuple[NDArray[np.int64], int]:
    """How often each 16-bit digit occurs in a range, and the range's elements."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by name
        values = pull(*at)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).ravel() & np.uint32(0x7FFFFFFF)
    return np.bincount(digits(bits, at[0]), minlength=1 << 16), bits.size


def _high(bits: NDArray[np.uint32], name: str) -> NDArray[np.uint32]:
    high = bits >> np.uint32(16)
    if high.size and int(high.max()) >= _INFINITY:
        raise NonFiniteError(f"tensor {name!r}: the delta holds values that are not finite", remedy="check both models")
    return high


def _low(bits: NDArray[np.uint32], high: int) -> NDArray[np.uint32]:
    low: NDArray[np.uint32] = bits[bits >> np.uint32(16) == high] & np.uint32(0xFFFF)
    return low


def _bin(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """(the digit that holds the rank, how many lie in smaller digits)."""
    upto = np.cumsum(counts)
    digit = int(np.searchsorted(upto, rank))
    return digit, int(upto[digit - 1]) if digit else 0
