"""Do a strict and a flexible reading of the same responses agree? Where they do not, the score measures a format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["flag"]

_Z = 1.959963984540054  # normal quantile at 97.5 %


def _noise(value: float, n: int) -> float:
    """Half the width of an interval for a share of n items (Agresti and Coull 1998): not zero at 0 % and 100 %."""
    more = n + _Z**2
    share = (value * n + _Z**2 / 2) / more
    return _Z * math.sqrt(share * (1 - share) / more)


def flag(metrics: Sequence[Mapping[str, Any]], n: int) -> str | None:
    """One sentence where the first metric's two filters, the strict one first, differ by more than the strict score's
    own 95 % interval on n items; None where they agree, or where there is one filter only.

    `metrics`: records with metric, filter and value, as results hold them.
    """
    first = [m for m in metrics if m["metric"] == metrics[0]["metric"] and m["value"] is not None]
    if len(first) < 2 or n < 1:
        return None
    strict, flexible = first[0], max(first[1:], key=lambda m: abs(m["value"] - first[0]["value"]))
    if abs(flexible["value"] - strict["value"]) <= _noise(strict["value"], n):
        return None
    return (
        f"{strict['filter']} {100 * strict['value']:.1f} %, {flexible['filter']} {100 * flexible['value']:.1f} %: "
        "the model's format does not fit the task's, so this is no measure of ability"
    )
