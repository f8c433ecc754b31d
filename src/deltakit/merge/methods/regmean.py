"""RegMean (Jin et al., 2023, arXiv 2212.09849)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.regression_mean import RegressionMean

__all__ = ["regmean"]


def regmean(alpha: float = 0.9) -> Method:
    """Least squares of what each linear layer gives on its own model's activations on text (Jin et al., 2023)."""
    return Method(RegressionMean(alpha))
