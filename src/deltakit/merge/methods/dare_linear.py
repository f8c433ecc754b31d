"""DARE with task arithmetic (Yu et al., 2023, arXiv 2311.03099, section 3.2)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.merge.reduce.weighted_sum import WeightedSum
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.flow import Transform
from deltakit.sparsify.matched import MatchL1
from deltakit.sparsify.topk import TopK

__all__ = ["dare_linear", "dropped", "mergekit"]


def dare_linear(density: float) -> Method:
    """Drop each delta to density with rescaling, then task arithmetic (Yu et al., 2023)."""
    return Method(WeightedSum(), each=(Drop(density),))


def mergekit(density: float = 1.0, normalize: bool = False, rescale: bool = True) -> Method:
    """Drop each delta to density, give each tensor its L1 norm back if rescale, then mergekit's task arithmetic.

    mergekit multiplies survivors by the quotient of the tensor's L1 norms before and after, the paper divides them by
    the probability: the quotient depends on the mask. Masks are ours: equal in distribution, not element by element.
    """
    return Method(StepwiseSum(normalize), each=(dropped(density, rescale),))


def dropped(density: float, rescale: bool) -> Transform:
    """mergekit's random dropping; density 0 leaves nothing of a delta."""
    step: Transform = TopK(0.0) if density == 0 else Drop(density, rescale=False)
    return MatchL1(step) if rescale else step
