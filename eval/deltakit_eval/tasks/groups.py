"""The score by group of items: subjects of MATH, perturbations of GSM-Plus, the sets that MAWPS was joined from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["by_group"]


def by_group(samples: Sequence[Mapping[str, Any]], headline: str) -> dict[str, dict[str, Any]]:
    """By group, sorted: `accuracy`, `stderr` (sqrt(sample variance / n); None for one item) and `n`, of the headline
    "metric,filter". `samples` as lm-eval logs them, one row per document and filter; empty where items have no group.
    """
    metric, _, name = headline.partition(",")
    found: dict[str, list[float]] = {}
    for row in samples:
        group = row.get("doc", {}).get("group") if row["filter"] == name else None
        if group and metric in row:
            found.setdefault(str(group), []).append(float(row[metric]))
    return {group: _mean(found[group]) for group in sorted(found)}


def _mean(values: Sequence[float]) -> dict[str, Any]:
    n, mean = len(values), sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n) if n > 1 else None
    return {"accuracy": mean, "stderr": spread, "n": n}
