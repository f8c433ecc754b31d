"""What candidates are ranked by: the weighted mean of task accuracies, its standard error, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from deltakit.errors import InputError

__all__ = ["Scores", "difference", "objective", "scores_of"]

# task -> {"accuracy", "stderr", "n", "items": {item id -> score} or None, "format": a remark or None}
Scores: TypeAlias = Mapping[str, Mapping[str, Any]]


def scores_of(model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The scores of one model of an evaluation, with each item's score under the headline metric (None where the task
    has none for single items). InputError for an accuracy that is not finite."""
    return {name: _scores(name, task) for name, task in model["tasks"].items()}


def _scores(name: str, task: Mapping[str, Any]) -> dict[str, Any]:
    value = task["accuracy"]
    if value is None or not math.isfinite(value):
        raise InputError(f"the score on {name} is not finite", remedy="see what the model answers: deltakit generate")
    return {
        "accuracy": value, "stderr": task["stderr"], "n": task["n"], "items": _items(task), "format": task.get("format")
    }  # fmt: skip


def _items(task: Mapping[str, Any]) -> dict[str, float] | None:
    metric, _, chosen = str(task["headline"]).partition(",")
    found: dict[str, float] = {}
    for sample in task["samples"]:
        value = sample["filters"].get(chosen, {}).get(metric)
        if isinstance(value, bool | int | float) and math.isfinite(value):
            found[str(sample["doc_id"])] = float(value)
    return found if found and len(found) == len(task["samples"]) else None


def objective(scores: Scores, weights: Mapping[str, float]) -> tuple[float, float | None]:
    """(sum of w * accuracy / sum of w, its standard error): tasks are independent samples. The error is None where a
    task has none (a single item)."""
    total = math.fsum(weights.values())
    value = math.fsum(weights[name] * scores[name]["accuracy"] for name in weights) / total
    errors = [scores[name]["stderr"] for name in weights]
    if any(e is None for e in errors):
        return value, None
    return value, math.sqrt(math.fsum((w * e / total) ** 2 for w, e in zip(weights.values(), errors, strict=True)))


def difference(one: Scores, other: Scores, weights: Mapping[str, float]) -> tuple[float, float | None, bool]:
    """(objective of `one` - of `other`, its standard error, whether that is paired): item by item where both scored
    the same items, else from the two standard errors; None where neither can be told."""
    total = math.fsum(weights.values())
    mean, variance, paired = 0.0, 0.0, True
    for name, weight in weights.items():
        share, a, b = weight / total, one[name], other[name]
        mean += share * (a["accuracy"] - b["accuracy"])
        found = _paired(a["items"], b["items"])
        if found is None:
            paired = False
            if a["stderr"] is None or b["stderr"] is None:
                return mean, None, False
            found = a["stderr"] ** 2 + b["stderr"] ** 2
        variance += share**2 * found
    return mean, math.sqrt(variance), paired


def _paired(one: Mapping[str, float] | None, other: Mapping[str, float] | None) -> float | None:
    """The variance of the mean of differences over the items of both; None unless they are the same, and several."""
    if one is None or other is None or one.keys() != other.keys() or len(one) < 2:
        return None
    differences = [one[key] - other[key] for key in one]
    mean = math.fsum(differences) / len(differences)
    return math.fsum((d - mean) ** 2 for d in differences) / (len(differences) - 1) / len(differences)
