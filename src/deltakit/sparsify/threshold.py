"""The exact magnitude below which a share of the elements lies, found by streaming: two histograms, no sorting.

The bits of a float32 magnitude, read as an integer, are in the order of the magnitudes. The first pass counts their
high 16 bits, the second the low 16 bits of those in the one bin that the wanted rank falls into. Memory is constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.terms.base import Float32
from deltakit.errors import InputError, RecipeError

__all__ = ["check_density", "exact_threshold", "rank_of"]

_INFINITY = 0x7F80
Blocks = Callable[[], Iterable[tuple[str, Float32]]]  # (tensor name, values), the same on every call


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


def exact_threshold(blocks: Blocks, rank: int) -> np.float32:
    """The `rank`-th smallest magnitude of all blocks; 0 for rank 0. Calls `blocks` twice.

    Raises InputError naming the first tensor with a value that is not finite.
    """
    if rank <= 0:
        return np.float32(0)
    high, below = _bin(_count(blocks, _high), rank)
    low, _ = _bin(_count(blocks, lambda bits, name: _low(bits, high)), rank - below)
    return np.uint32(high << 16 | low).view(np.float32)


def _count(blocks: Blocks, digits: Callable[[NDArray[np.uint32], str], NDArray[np.uint32]]) -> NDArray[np.int64]:
    """How often each 16-bit digit occurs."""
    counts = np.zeros(1 << 16, np.int64)
    for name, values in blocks():
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32).ravel() & np.uint32(0x7FFFFFFF)
        counts += np.bincount(digits(bits, name), minlength=1 << 16)
    return counts


def _high(bits: NDArray[np.uint32], name: str) -> NDArray[np.uint32]:
    high = bits >> np.uint32(16)
    if high.size and int(high.max()) >= _INFINITY:
        raise InputError(f"tensor {name!r}: the delta holds values that are not finite", remedy="check both models")
    return high


def _low(bits: NDArray[np.uint32], high: int) -> NDArray[np.uint32]:
    low: NDArray[np.uint32] = bits[bits >> np.uint32(16) == high] & np.uint32(0xFFFF)
    return low


def _bin(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """(the digit that holds the rank, how many lie in smaller digits)."""
    upto = np.cumsum(counts)
    digit = int(np.searchsorted(upto, rank))
    return digit, int(upto[digit - 1]) if digit else 0
