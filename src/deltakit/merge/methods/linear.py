"""The weighted mean of models (model soups: Wortsman et al., 2022, arXiv 2203.05482)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.fused_mean import FusedMean
from deltakit.merge.reduce.weighted_sum import WeightedMean

__all__ = ["linear", "mergekit"]


def linear(normalize: bool = True) -> Method:
    """sum of w * model, divided by sum of w if normalize; the base may be left out."""
    return Method(WeightedMean(normalize))


def mergekit(normalize: bool = True) -> Method:
    """sum of w * model, divided by sum of w if normalize.

    mergekit sums the models in their order by fused multiply-adds in float32, whatever the dtype, and rounds once;
    the paper form sums deltas over one of the models.
    """
    return Method(FusedMean(normalize))
