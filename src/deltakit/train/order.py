"""The order in which examples are seen: the same on every machine, whatever the number of processes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from deltakit.rng import key, words

__all__ = ["draw", "order", "pool", "steps"]

_WINDOW = 50  # batches among which lengths are sorted

Indexes = NDArray[np.int64]


def draw(count: int, seed: int, purpose: str) -> Indexes:
    """A permutation of range(count) that depends on the seed and the purpose alone."""
    return np.argsort(words(key(seed, "sft", purpose), 0, count), kind="stable").astype(np.int64)


def pool(counts: list[int], weights: list[float], seed: int) -> Indexes:
    """One epoch's example indexes, those of source s weights[s] times; a fraction is a seeded choice."""
    parts, start = [], 0
    for number, (count, weight) in enumerate(zip(counts, weights, strict=True)):
        whole = int(weight)
        some = np.sort(draw(count, seed, f"share {number}")[: round((weight - whole) * count)])
        parts += [np.arange(start, start + count, dtype=np.int64)] * whole + [some + start]
        start += count
    return np.concatenate(parts)


def steps(examples: int, batch: int, epochs: float) -> int:
    """Steps of `batch` examples for `epochs` passes over `examples`; the last step is filled from one more pass."""
    return max(1, math.ceil(examples * epochs / batch))


def order(pool: Indexes, lengths: Indexes, count: int, batch: int, seed: int, by_length: bool) -> Indexes:
    """`count` example indexes (count a multiple of `batch`), a fresh shuffle of the pool for every epoch.

    `by_length` sorts lengths within windows of fifty batches and shuffles the batches of a window again: little
    padding, and still every batch is drawn from thousands of examples.
    """
    epochs = math.ceil(count / len(pool))
    found = np.concatenate([pool[draw(len(pool), seed, f"epoch {e}")] for e in range(epochs)])[:count]
    if not by_length:
        return found
    window = _WINDOW * batch
    return np.concatenate(
        [_grouped(found[lo : lo + window], lengths, batch, seed, lo) for lo in range(0, count, window)]
    )


def _grouped(part: Indexes, lengths: Indexes, batch: int, seed: int, lo: int) -> Indexes:
    batches = part[np.argsort(lengths[part], kind="stable")].reshape(-1, batch)
    return batches[draw(len(batches), seed, f"window {lo}")].ravel()
