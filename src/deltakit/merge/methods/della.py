"""DELLA (Deep et al., 2024, arXiv 2406.11617, section 3)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.sparsify.flow import Transform
from deltakit.sparsify.magprune import MagPrune
from deltakit.sparsify.matched import MatchL1

__all__ = ["della", "mergekit", "pruned", "ranked"]


def della(density: float, epsilon: float = 0.14) -> Method:
    """Drop small elements of each row more likely, elect signs, average the agreeing, times lambda (Deep et al., 2024).

    epsilon is the paper's: the keep probabilities of a row span density - epsilon/2 to density + epsilon/2, and each
    survivor is divided by its own. The default is that of the authors' example. Density 1 keeps everything.
    """
    return Method(ElectedMean(), each=(pruned(density, epsilon),))


def mergekit(density: float = 1.0, epsilon: float = 0.15, normalize: bool = True, rescale: bool = True) -> Method:
    """Drop small elements of each row more likely, elect the sign of the weighted sum, divide by the agreeing weights.

    mergekit's epsilon is half the width: density - epsilon to density + epsilon. One factor scales a tensor's
    survivors to its L1 norm, so that large elements weigh too much in the mean; the paper divides each by its own
    probability. Unlike there, packed experts are ranked within their rows, and rows of one element have the middle
    probability.
    """
    return Method(StepwiseSum(normalize, elect=True), each=(ranked(density, epsilon, rescale),))


def pruned(density: float, epsilon: float) -> Transform:
    """The paper's MAGPRUNE."""
    return MagPrune(density, epsilon if density < 1 else 0.0)


def ranked(density: float, epsilon: float, rescale: bool) -> Transform:
    """mergekit's."""
    step = MagPrune(density, 2 * epsilon if density < 1 else 0.0, rescale=False, closed=True)
    return MatchL1(step) if rescale else step
