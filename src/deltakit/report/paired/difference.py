"""One model against another on one task: the difference, its interval, its tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.report.paired.bootstrap import Bootstrap, bootstrap
from deltakit.report.paired.item import LOSS_METRIC
from deltakit.report.paired.pairing import Pairing
from deltakit.report.paired.shares import POWER, Z, mcnemar, minimal_difference, newcombe, wilson
from deltakit.report.paired.signs import sign_flips, standard_error, student

__all__ = ["Difference", "measure"]

_Z_POWER = 0.8416212335729143


@dataclass(frozen=True)
class Difference:
    """Model less reference on `n` items. `kind`: "share" (right or wrong), "mean" (values in between), "loss".

    Intervals are 95 %. `p` is of `test` (McNemar's exact test, or sign flips); `minimal`: the smallest true difference
    that n such items show with 80 % power; `lost` and `gained`: items on which the model is worse and better.
    """

    kind: str
    n: int
    before: float
    after: float
    before_interval: tuple[float, float]
    after_interval: tuple[float, float]
    low: float
    high: float
    method: str
    test: str
    p: float
    p_mid: float | None
    p_bootstrap: float
    p_t: float | None
    lost: int
    gained: int
    minimal: float | None

    @property
    def value(self) -> float:
        """Model less reference."""
        return self.after - self.before

    def record(self) -> dict[str, Any]:
        """As JSON."""
        shown = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}
        power = {"level": 0.05, "power": POWER}
        return {**shown, "difference": self.value, "minimal": self.minimal, "minimal_at": power}


def measure(pairing: Pairing, lower: bool, random: Any, draws: int) -> Difference:
    """Every statistic of one pairing whose scores are all finite. `lower`: less is better. `random`: a generator."""
    first, second = pairing.values
    weights, moved = pairing.weights, second - first
    better, worse = int(np.sum(moved > 0)), int(np.sum(moved < 0))
    lost, gained = (better, worse) if lower else (worse, better)
    resampled = bootstrap(moved, weights, random, draws)
    student_p = student(moved, weights)
    if bool(np.all(np.isin(first, (0.0, 1.0)) & np.isin(second, (0.0, 1.0)) & (weights == 1))):
        return _share(first, second, (lost, gained), resampled, student_p, lower)
    total = float(weights.sum())
    ends = [_interval(side, weights) for side in (first, second)]
    error = standard_error(moved, weights)
    return Difference(
        "loss" if pairing.metric == LOSS_METRIC else "mean", len(moved), float(first.sum()) / total,
        float(second.sum()) / total, ends[0], ends[1], resampled.low, resampled.high, "paired bootstrap, percentiles",
        "sign flips", sign_flips(moved, random, draws), None, resampled.p, student_p, lost, gained,
        None if not error else (Z + _Z_POWER) * error,
    )  # fmt: skip


def _share(
    first: NDArray[np.float64], second: NDArray[np.float64], flipped: tuple[int, int], resampled: Bootstrap,
    student_p: float | None, lower: bool,
) -> Difference:  # fmt: skip
    n, both = len(first), int(np.sum((first == 1) & (second == 1)))
    down, up = int(np.sum(first > second)), int(np.sum(first < second))
    low, high = newcombe(both, down, up, n - both - down - up)
    exact, mid = mcnemar(down, up)
    rights = both + down, both + up
    return Difference(
        "share", n, rights[0] / n, rights[1] / n, wilson(rights[0], n), wilson(rights[1], n), low, high,
        "Newcombe, paired", "McNemar, exact", exact, mid, resampled.p, student_p, *flipped,
        minimal_difference((down + up) / n, n),
    )  # fmt: skip


def _interval(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """A mean with 1.96 standard errors on either side."""
    mean, error = float(values.sum()) / float(weights.sum()), standard_error(values, weights) or 0.0
    return mean - Z * error, mean + Z * error
