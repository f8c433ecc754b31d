"""Model breadcrumbs with TIES (arXiv 2312.06795 and 2306.01708)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.methods.breadcrumbs import crumbs
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.sparsify.breadcrumbs import Breadcrumbs

__all__ = ["breadcrumbs_ties", "mergekit"]


def breadcrumbs_ties(density: float = 0.15, gamma: float = 0.006) -> Method:
    """Without the outliers and the small elements of each row, then elect signs and average the agreeing, times lambda.

    Breadcrumbs in place of the trimming of TIES; the parameters are those of breadcrumbs.
    """
    return Method(ElectedMean(), each=(Breadcrumbs(density, gamma),))


def mergekit(density: float = 1.0, gamma: float = 0.01, normalize: bool = False, rescale: bool = False) -> Method:
    """Without the outliers and the small elements of each tensor, elect the weighted sum's sign, and add the agreeing.

    mergekit counts over a whole tensor, lets the weights elect, counts a sum of 0 as plus, and adds instead of
    averaging unless normalize.
    """
    return Method(StepwiseSum(normalize, elect=True), each=(crumbs(density, gamma, rescale),))
