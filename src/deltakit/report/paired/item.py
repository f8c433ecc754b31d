"""What is compared: a model's scores on a task, item by item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LOSS_METRIC", "Item", "Run", "Scores", "joined", "keyed", "number"]

LOSS_METRIC = "loss,none"


@dataclass(frozen=True)
class Item:
    """One document as one model answered it. `values` per "metric,filter": a number, None where it was not finite;
    `answers` per filter what it extracted; `weight` is 1, or the tokens over which a loss was summed."""

    doc_id: int
    prompt: str
    target: str
    responses: tuple[str, ...] = ()
    values: Mapping[str, float | None] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True)
class Scores:
    """A model on a task: items by document hash, and the headline "metric,filter".

    `about`: version, prompts, generation settings: what must agree for a fair comparison. `lower` names the metrics
    of which less is better.
    """

    headline: str
    items: Mapping[str, Item]
    about: Mapping[str, Any] = field(default_factory=dict)
    lower: frozenset[str] = frozenset()

    def is_lower_better(self, metric: str) -> bool:
        """Whether a smaller value of "metric,filter" is the better one."""
        return metric == LOSS_METRIC or metric.partition(",")[0] in self.lower


@dataclass(frozen=True)
class Run:
    """A model as one file knows it. `tasks` by lm-eval's full name, `labels` what to call them; `conditions`: dtype,
    device, batches, seeds, versions; `notes` what was left out while reading."""

    name: str
    source: str
    where: str
    content: str | None
    nbytes: int | None
    model_bytes: int | None
    tasks: Mapping[str, Scores]
    labels: Mapping[str, str]
    conditions: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def keyed(key: str, taken: Mapping[str, Any]) -> str:
    """A key for a document: its hash; the second time the same document is asked, with "#2"."""
    if key not in taken:
        return key
    times = 2
    while f"{key}#{times}" in taken:
        times += 1
    return f"{key}#{times}"


def joined(answer: Any) -> str:
    """What a filter extracted; of several draws all, with bars between."""
    return " | ".join(map(str, answer)) if isinstance(answer, list | tuple) else str(answer)


def number(value: Any) -> float | None:
    """A score of one item; several draws count with their mean. None for what is not finite, and for what is none."""
    if isinstance(value, list | tuple):
        found = [number(v) for v in value]
        known = [v for v in found if v is not None]
        return sum(known) / len(known) if known and len(known) == len(found) else None
    if isinstance(value, bool | int | float):
        return float(value) if math.isfinite(value) else None
    return None
