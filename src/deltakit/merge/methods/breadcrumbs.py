"""Model breadcrumbs (Davari & Belilovsky, 2023, arXiv 2312.06795, section 3)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.merge.reduce.weighted_sum import WeightedSum
from deltakit.sparsify.breadcrumbs import Breadcrumbs
from deltakit.sparsify.flow import Transform
from deltakit.sparsify.matched import MatchL1

__all__ = ["breadcrumbs", "crumbs", "mergekit"]


def breadcrumbs(density: float = 0.15, gamma: float = 0.006) -> Method:
    """Without the outliers and the small elements of each row, then task arithmetic (Davari & Belilovsky, 2023).

    gamma is the share of a row that is dropped as outliers, density (the paper's beta) the share that is kept of the
    largest left. The defaults are where the paper says to begin; it then scales by lambda = 0.2.
    """
    return Method(WeightedSum(), each=(Breadcrumbs(density, gamma),))


def mergekit(density: float = 1.0, gamma: float = 0.01, normalize: bool = False, rescale: bool = False) -> Method:
    """Without the outliers and the small elements of each tensor, then mergekit's task arithmetic.

    mergekit counts over a whole tensor, not over rows. A gamma that amounts to no element leaves the
    delta as it is instead of emptying it. Which of several elements of one magnitude are kept is, there, up to a
    sort that is not stable; here the first of them are the largest.
    """
    return Method(StepwiseSum(normalize), each=(crumbs(density, gamma, rescale),))


def crumbs(density: float, gamma: float, rescale: bool) -> Transform:
    """mergekit's."""
    step = Breadcrumbs(density, gamma, "tensor")
    return MatchL1(step) if rescale else step
