"""Tests of a mean difference of paired numbers: sign flips (a permutation test) and Student's t."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT_UP_TO", "sign_flips", "standard_error", "student"]

EXACT_UP_TO = 16  # items that differ; 65,536 sign patterns
_CHUNK = 1 << 22


def sign_flips(differences: NDArray[np.float64], random: Any, draws: int) -> float:
    """Two-sided p-value of sum(differences), (n,), when each item's two scores may be exchanged.

    All sign patterns where at most 16 items differ, else `draws` random ones with one added to both counts. On
    right-or-wrong items this is McNemar's exact test. No item differs: 1.
    """
    moved = differences[differences != 0]
    if len(moved) == 0:
        return 1.0
    bound = abs(float(moved.sum())) - 1e-9 * float(np.abs(moved).sum())  # sums of one value differ in their last bits
    if len(moved) <= EXACT_UP_TO:
        patterns = np.arange(1 << len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float(np.mean(np.abs((2.0 * patterns - 1) @ moved) >= bound))
    beyond, rows = 0, max(1, _CHUNK // len(moved))
    for start in range(0, draws, rows):
        signs = random.integers(0, 2, size=(min(rows, draws - start), len(moved)), dtype=np.int8)
        beyond += int(np.sum(np.abs((2.0 * signs - 1) @ moved) >= bound))
    return (1 + beyond) / (1 + draws)


def standard_error(differences: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    """Of sum(differences) / sum(weights) over items (ratio estimate; weights of 1: of the mean). None for one item."""
    n, total = len(differences), float(weights.sum())
    if n < 2:
        return None
    rest = differences - weights * (float(differences.sum()) / total)
    return math.sqrt(float(rest @ rest) * n / (n - 1)) / total


def student(differences: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    """Two-sided p-value of the paired t-test; None where all differences are equal, or for one item."""
    from scipy.stats import t

    error = standard_error(differences, weights)
    mean = float(differences.sum()) / float(weights.sum())
    if error is None or error <= 1e-15 * max(1.0, abs(mean)):
        return None
    return float(2 * t.sf(abs(mean) / error, len(differences) - 1))
