"""RegMean++ (arXiv 2508.03121)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.regression_mean import RegressionMean

__all__ = ["regmean_pp"]


def regmean_pp(alpha: float = 0.9) -> Method:
    """RegMean, with activations that come from the merged layers before each layer (RegMean++, 2025)."""
    return Method(RegressionMean(alpha, sequential=True))
