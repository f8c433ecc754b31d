"""The interval of a share of items that are right."""

from __future__ import annotations

import math

__all__ = ["Z", "wilson"]

Z = 1.959963984540054  # normal quantile at 97.5 %: two-sided 95 %


def wilson(right: float, n: int) -> tuple[float, float]:
    """95 % score interval of `right` of `n` (Wilson, JASA 22, 1927); it has width at 0 and at n too."""
    p, z2 = right / n, Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half))
