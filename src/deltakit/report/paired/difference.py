"""One model against another on one task: the difference, its interval, its tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.grade.interval import Z, wilson
from deltakit.report.paired.bootstrap import bootstrap
from deltakit.report.paired.item import LOSS_METRIC
from deltakit.report.paired.pairing import Pairing
from deltakit.report.paired.shares import POWER, Z_POWER, mcnemar, minimal_difference, newcombe
from deltakit.report.paired.signs import sign_flips, standard_error, student

__all__ = ["Difference", "measure"]


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
        return {**shown, "difference": self.value, "minimal_at": power}


def measure(pairing: Pairing, lower: bool, random: Any, draws: int) -> Difference:
    """Every statistic of one pairing whose scores are all finite. `lower`: less is better. `random`: a generator."""
    (first, second), weights = pairing.values, pairing.weights
    moved, total = second - first, float(weights.sum())
    down, up = int(np.sum(moved < 0)), int(np.sum(moved > 0))
    resampled = bootstrap(moved, weights, random, draws)
    common: dict[str, Any] = {
        "n": len(moved), "before": float(first.sum()) / total, "after": float(second.sum()) / total,
        "lost": up if lower else down, "gained": down if lower else up, "p_bootstrap": resampled.p,
        "p_t": student(moved, weights),
    }  # fmt: skip
    if bool(np.all(np.isin(first, (0.0, 1.0)) & np.isin(second, (0.0, 1.0)) & (weights == 1))):
        return _share(first, down, up, common)
    error = standard_error(moved, weights)
    return Difference(
        kind="loss" if pairing.metric == LOSS_METRIC else "mean",
        before_interval=_interval(first, weights),
        after_interval=_interval(second, weights),
        low=resampled.low,
        high=resampled.high,
        method="percentiles of the paired bootstrap",
        test="sign flips",
        p=sign_flips(moved, random, draws),
        p_mid=None,
        minimal=(Z + Z_POWER) * error if error else None,
        **common,
    )


def _share(first: NDArray[np.float64], down: int, up: int, common: dict[str, Any]) -> Difference:
    """Of right and wrong: `down` items only the first has right, `up` only the second."""
    n, right = len(first), int(first.sum())
    low, high = newcombe(right - down, down, up, n - right - up)
    exact, mid = mcnemar(down, up)
    return Difference(
        kind="share",
        before_interval=wilson(right, n),
        after_interval=wilson(right - down + up, n),
        low=low,
        high=high,
        method="Newcombe's for paired shares",
        test="McNemar's exact test",
        p=exact,
        p_mid=mid,
        minimal=minimal_difference((down + up) / n, n),
        **common,
    )


def _interval(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """A mean with 1.96 standard errors on either side; of scores in [0, 1] Wilson's interval for as many items, which
    no spread of such scores exceeds, and which has width where all are equal."""
    if bool(np.all((values >= 0) & (values <= 1) & (weights == 1))):
        return wilson(float(values.sum()), len(values))
    mean, error = float(values.sum()) / float(weights.sum()), standard_error(values, weights) or 0.0
    return mean - Z * error, mean + Z * error
