"""Two models' scores on one task, brought together document by document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import MismatchError
from deltakit.registry import did_you_mean
from deltakit.report.paired.item import Item, Scores

__all__ = ["Pairing", "left_out", "pair"]

_SHOWN = 5  # documents named in a note


@dataclass(frozen=True)
class Pairing:
    """Items both models have, in the first one's order. `only_first`, `only_second`, `disagreeing` (other targets):
    numbers of documents left out; `unknown`: items without a finite score, of the first and of the second model."""

    metric: str
    keys: tuple[str, ...]
    items: tuple[tuple[Item, Item], ...]
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    disagreeing: tuple[int, ...]
    unknown: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores of both models, (n,) each; nan where not finite."""
        found = [[_nan(item.values.get(self.metric)) for item in side] for side in zip(*self.items, strict=True)]
        return np.array(found[0]), np.array(found[1])

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n,): 1, or tokens."""
        return np.array([first.weight for first, _ in self.items])


def pair(first: Scores, second: Scores, what: str, metric: str | None = None) -> Pairing:
    """Pair by document hash; where no hash is shared (prompts are part of our documents) by number, if targets agree.

    `what` names task and models in messages. MismatchError for nothing in common and for a metric one lacks.
    """
    notes: list[str] = []
    shared = {key: key for key in first.items if key in second.items}
    if not shared:
        shared = _by_number(first.items, second.items)
        if not shared:
            remedy = "evaluate both on the same documents: same task, data, --limit, split and seed"
            raise MismatchError(f"{what}: no item in common", remedy=remedy)
        notes.append("no document hash in common (prompts differ?): paired by number, where targets agree")
    chosen = _metric(first, second, what, metric, notes)
    agreeing = {a: b for a, b in shared.items() if first.items[a].target == second.items[b].target}
    items = tuple((first.items[a], second.items[b]) for a, b in agreeing.items())
    if not items:
        remedy = "the two files hold different versions of the task"
        raise MismatchError(f"{what}: no item whose targets agree", remedy=remedy)
    notes += _asked(items)
    taken = set(shared.values())
    return Pairing(
        chosen,
        tuple(agreeing),
        items,
        tuple(item.doc_id for key, item in first.items.items() if key not in shared),
        tuple(item.doc_id for key, item in second.items.items() if key not in taken),
        tuple(first.items[a].doc_id for a in shared if a not in agreeing),
        (sum(a.values.get(chosen) is None for a, _ in items), sum(b.values.get(chosen) is None for _, b in items)),
        tuple(notes),
    )


def left_out(pairing: Pairing, first: str, second: str) -> list[str]:
    """A sentence for each kind of items that are not compared."""
    parts = (
        (pairing.only_first, f"only {first} has"), (pairing.only_second, f"only {second} has"),
        (pairing.disagreeing, "whose targets differ"),
    )  # fmt: skip
    return [f"{len(found)} items {why} left out (documents {_listed(found)})" for found, why in parts if found]


def _listed(found: Sequence[int]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(map(str, found[:_SHOWN])) + more


def _by_number(first: Mapping[str, Item], second: Mapping[str, Item]) -> dict[str, str]:
    """Keys of equal numbers, if at least half of them have the same target: else these are other documents."""
    numbers = {item.doc_id: key for key, item in second.items()}
    found = {key: numbers[item.doc_id] for key, item in first.items() if item.doc_id in numbers}
    agreeing = sum(first[a].target == second[b].target for a, b in found.items())
    return found if 2 * agreeing >= len(found) else {}


def _metric(first: Scores, second: Scores, what: str, metric: str | None, notes: list[str]) -> str:
    """The one asked for; else the first's headline, else the second's, else the first both have."""
    has = [_metrics(first), _metrics(second)]
    both = [m for m in has[0] if m in has[1]]
    if metric is not None:
        if metric not in both:
            raise MismatchError(f"{what}: no metric {metric!r} in both", remedy=did_you_mean(metric, both))
        return metric
    if not both:
        remedy = f"one has {', '.join(has[0])}; the other {', '.join(has[1])}"
        raise MismatchError(f"{what}: no metric in common", remedy=remedy)
    chosen = next((m for m in (first.headline, second.headline) if m in both), both[0])
    if first.headline != second.headline:
        notes.append(f"headlines differ ({first.headline}; {second.headline}): compared by {chosen}")
    return chosen


def _metrics(scores: Scores) -> list[str]:
    return list(dict.fromkeys(metric for item in scores.items.values() for metric in item.values))


def _asked(items: Sequence[tuple[Item, Item]]) -> list[str]:
    """Whether both were asked in the same words."""
    different = sum(a.prompt != b.prompt for a, b in items)
    return [f"prompts differ on {different} of {len(items)} items"] if different else []


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
