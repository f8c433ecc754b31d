"""How much of a winner's score is luck: candidates that noise cannot tell from it, and what picking the best adds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deltakit.grade.interval import Z
from deltakit.pipeline.sweep.objective import Scores, difference

__all__ = ["Behind", "Luck", "behind", "luck"]

_DRAWS = 1000


@dataclass(frozen=True)
class Behind:
    """How far a candidate lies behind the winner: `difference` in the objective (winner - candidate), its standard
    error, whether item by item; `within_noise`: the 95 % interval of the difference holds 0 (None: it has none)."""

    difference: float
    stderr: float | None
    paired: bool
    within_noise: bool | None


@dataclass(frozen=True)
class Luck:
    """`optimism`: by how much the best of the candidates is expected to score better on the items it was chosen by than
    on others; `wins`: how often each candidate is the best, the items drawn anew."""

    optimism: float
    wins: tuple[float, ...]
    draws: int = _DRAWS


def behind(winner: Scores, other: Scores, weights: Mapping[str, float]) -> Behind:
    """`other` against the winner. The interval knows nothing of the winner having been picked."""
    mean, error, paired = difference(winner, other, weights)
    within = None if error is None else abs(mean) <= Z * error + 1e-12
    return Behind(mean, error, paired, within)


def luck(candidates: Sequence[Scores], weights: Mapping[str, float], seed: int = 0) -> Luck | None:
    """By a bootstrap over items (Efron and Tibshirani, 1993, ch. 17), the same draw for all candidates: items of each
    task are drawn anew with replacement, the best candidate of each draw is picked, and its score there is compared
    with its score on all items. None where candidates have no scores item by item."""
    tables = [_table(candidates, name) for name in weights]
    if not candidates or any(table is None for table in tables):
        return None
    rng, total = np.random.default_rng(seed), math.fsum(weights.values())
    drawn = np.zeros((len(candidates), _DRAWS))
    whole = np.zeros(len(candidates))
    for table, weight in zip(tables, weights.values(), strict=True):
        n = table.shape[1]
        counts = rng.multinomial(n, np.full(n, 1 / n), size=_DRAWS)
        drawn += weight / total * (table @ counts.T) / n
        whole += weight / total * table.mean(axis=1)
    best = np.argmax(np.round(drawn, 12), axis=0)  # the first of equals, whatever the order of sums
    gain = drawn[best, np.arange(_DRAWS)] - whole[best]
    wins = np.bincount(best, minlength=len(candidates)) / _DRAWS
    return Luck(round(float(gain.mean()), 6), tuple(round(float(w), 4) for w in wins))


def _table(candidates: Sequence[Scores], name: str) -> Any:
    """Candidates x items; None where they were not scored on the same items."""
    items = [c[name]["items"] for c in candidates]
    if any(i is None or i.keys() != items[0].keys() for i in items):
        return None
    return np.array([[i[key] for key in items[0]] for i in items])
