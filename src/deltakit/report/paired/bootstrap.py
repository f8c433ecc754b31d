"""The paired bootstrap: items drawn again with replacement, both models' scores of an item together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "Bootstrap", "bootstrap", "generator", "resampled", "resampled_signs"]

DRAWS = 10_000
_CHUNK = 1 << 22  # indices drawn at once: 32 MiB


@dataclass(frozen=True)
class Bootstrap:
    """The 95 % percentile interval of the mean difference, and a two-sided p-value."""

    low: float
    high: float
    p: float


def generator(seed: int, *names: str) -> Any:
    """numpy's PCG64 under a seed of its own for these names: one more model changes no other model's draws."""
    raw = hashlib.sha256(json.dumps([seed, *names]).encode("utf-8", "surrogatepass")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(raw[:16], "little")))


def bootstrap(
    differences: NDArray[np.float64], weights: NDArray[np.float64], random: Any, draws: int = DRAWS
) -> Bootstrap:
    """Of sum(differences) / sum(weights), both of shape (n,): weights are 1, or tokens where differences are nats.

    The p-value is twice the smaller share of draws at or beyond zero, with one added to both counts (Davison and
    Hinkley, 1997, 4.2), so it is never 0.
    """
    plain = bool(np.all(weights == 1) and np.all(np.isin(differences, (-1.0, 0.0, 1.0))))
    found = resampled_signs(differences, random, draws) if plain else resampled(differences, weights, random, draws)
    low, high = np.quantile(found, (0.025, 0.975))
    beyond = min(int(np.sum(found <= 0)), int(np.sum(found >= 0)))
    return Bootstrap(float(low), float(high), min(1.0, 2 * (1 + beyond) / (draws + 1)))


def resampled(
    differences: NDArray[np.float64], weights: NDArray[np.float64], random: Any, draws: int
) -> NDArray[np.float64]:
    """The statistic of each draw, (draws,): n items with replacement, in chunks of bounded memory."""
    n = len(differences)
    rows = max(1, _CHUNK // n)
    found = []
    for start in range(0, draws, rows):
        chosen = random.integers(0, n, size=(min(rows, draws - start), n))
        found.append(differences[chosen].sum(axis=1) / weights[chosen].sum(axis=1))
    return np.concatenate(found)


def resampled_signs(differences: NDArray[np.float64], random: Any, draws: int) -> NDArray[np.float64]:
    """The same distribution where every difference is -1, 0 or 1: only how many of each are drawn matters."""
    n = len(differences)
    lost, gained = int(np.sum(differences < 0)), int(np.sum(differences > 0))
    counts = random.multinomial(n, [lost / n, gained / n, (n - lost - gained) / n], size=draws)
    found: NDArray[np.float64] = (counts[:, 1] - counts[:, 0]) / n
    return found
