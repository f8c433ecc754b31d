"""DELLA's dropping with task arithmetic (Deep et al., 2024, arXiv 2406.11617, section 3.1)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.methods.della import pruned, ranked
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.merge.reduce.weighted_sum import WeightedSum

__all__ = ["della_linear", "mergekit"]


def della_linear(density: float, epsilon: float = 0.14) -> Method:
    """Drop small elements of each row more likely, divide survivors by their probability, then task arithmetic.

    The parameters are those of della (Deep et al., 2024).
    """
    return Method(WeightedSum(), each=(pruned(density, epsilon),))


def mergekit(density: float = 1.0, epsilon: float = 0.15, normalize: bool = False, rescale: bool = True) -> Method:
    """Drop small elements of each row more likely, give each tensor its L1 norm back, then mergekit's task arithmetic.

    It differs from the paper as its della does: epsilon is half the width, one factor scales all survivors.
    """
    return Method(StepwiseSum(normalize), each=(ranked(density, epsilon, rescale),))
