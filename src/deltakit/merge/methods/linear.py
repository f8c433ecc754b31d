"""The weighted mean of models (model soups: Wortsman et al., 2022, arXiv 2203.05482)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.weighted_sum import WeightedMean

__all__ = ["linear"]


def linear(normalize: bool = True) -> Method:
    """sum of w * model, divided by sum of w if normalize; the base may be left out."""
    return Method(WeightedMean(normalize))
