"""Task arithmetic (Ilharco et al., 2022, arXiv 2212.04089, section 2)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.merge.reduce.weighted_sum import WeightedSum

__all__ = ["mergekit", "task_arithmetic"]


def task_arithmetic() -> Method:
    """base + lambda * sum of w * delta (Ilharco et al., 2022). The default: the method current evidence supports."""
    return Method(WeightedSum())


def mergekit(normalize: bool = False) -> Method:
    """base + lambda * sum of w * delta, divided by the sum of w if normalize.

    mergekit rounds deltas, weights and every step to the dtype, and has `normalize`; the paper form is float32.
    """
    return Method(StepwiseSum(normalize))
