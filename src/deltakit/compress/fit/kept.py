"""Seeded masks that keep a number of elements known beforehand: the threshold is an order statistic of the lanes.

Which elements are below it depends on the key alone, so every set of that size is as likely as any other, each element
is kept with probability kept / numel, and the payload has the size that was planned.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit import rng
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.seeded import CHUNK

__all__ = ["keeping", "survivors"]

_AT_ONCE = 1 << 20


def keeping(key: int, numel: int, kept: int) -> int:
    """The largest threshold T (1 .. 2**32) with at most `kept` of the lanes 0..numel below it; ties, about one in
    2**32 / numel, keep fewer."""
    if kept >= numel:
        return 2**32
    if numel <= _AT_ONCE:
        return max(1, int(np.partition(rng.lanes(key, 0, numel), kept)[kept]))
    histogram = np.zeros(1 << 16, np.int64)
    for lo in range(0, numel, _AT_ONCE):
        histogram += np.bincount(rng.lanes(key, lo, min(numel, lo + _AT_ONCE)) >> 16, minlength=1 << 16)
    below = np.concatenate([[0], np.cumsum(histogram)])
    bucket = int(np.searchsorted(below, kept, side="right")) - 1
    found = [_bucket(key, lo, min(numel, lo + _AT_ONCE), bucket) for lo in range(0, numel, _AT_ONCE)]
    return max(1, int(np.sort(np.concatenate(found))[kept - below[bucket]]))


def survivors(rows: Float32, key: int, threshold: int) -> tuple[Float32, NDArray[np.uint32]]:
    """The kept elements in order, and how many there are in every chunk."""
    flat, parts = rows.reshape(-1), []
    for lo in range(0, flat.size, CHUNK):
        hi = min(flat.size, lo + CHUNK)
        parts.append(flat[lo:hi][rng.lanes(key, lo, hi) <= np.uint32(threshold - 1)])
    counts = np.array([part.size for part in parts], np.uint32)
    return np.concatenate(parts) if parts else np.empty(0, np.float32), counts


def _bucket(key: int, lo: int, hi: int, bucket: int) -> NDArray[np.uint32]:
    """The lanes whose upper half is `bucket`."""
    lanes = rng.lanes(key, lo, hi)
    found: NDArray[np.uint32] = lanes[lanes >> 16 == bucket]
    return found
