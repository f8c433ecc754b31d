"""Do a strict and a flexible reading of the same responses agree? Where they do not, the score measures a format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from deltakit.grade.interval import Z

__all__ = ["flag"]


def _noise(value: float, n: int) -> float:
    """Half the width of an interval for a share of n items (Agresti and Coull 1998): not zero at 0 % and 100 %."""
    more = n + Z**2
    share = (value * n + Z**2 / 2) / more
    return Z * math.sqrt(share * (1 - share) / more)


def flag(metrics: Sequence[Mapping[str, Any]], n: int, headline: str) -> str | None:
    """One sentence where the `headline`, "metric,filter" with the strict filter, and another filter of its metric
    differ by more than the strict score's own 95 % interval on n items; None where they agree, or where there is one
    filter only.

    `metrics`: records with metric, filter and value, as results hold them.
    """
    metric, _, chosen = headline.partition(",")
    known = {m["filter"]: m for m in metrics if m["metric"] == metric and m["value"] is not None}
    strict = known.pop(chosen, None)
    if strict is None or not known or n < 1:
        return None
    flexible = max(known.values(), key=lambda m: abs(m["value"] - strict["value"]))
    if abs(flexible["value"] - strict["value"]) <= _noise(strict["value"], n):
        return None
    return (
        f"{strict['filter']} {100 * strict['value']:.1f} %, {flexible['filter']} {100 * flexible['value']:.1f} %: "
        "the model's format does not fit the task's, so this is no measure of ability"
    )
