"""TIES (Yadav et al., 2023, arXiv 2306.01708, section 4)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.sparsify.matched import MatchL1
from deltakit.sparsify.topk import TopK
from deltakit.sparsify.trim import Trim

__all__ = ["mergekit", "ties"]


def ties(density: float = 0.2, scope: str = "model") -> Method:
    """Trim each whole delta to density, elect signs, average the agreeing, times lambda (Yadav et al., 2023).

    scope "tensor" trims each tensor to density by itself, and lets each tensor's majority decide its sums of 0.
    """
    return Method(ElectedMean(scope), each=(Trim(density, scope),))


def mergekit(density: float = 1.0, normalize: bool = True, rescale: bool = False) -> Method:
    """Trim each tensor to density, elect the sign of the weighted sum, add the agreeing, divide by their weights.

    mergekit trims tensor by tensor to exactly int(density * n) elements, lets the weights elect, and counts a sum of 0
    as plus; `rescale` gives a tensor its L1 norm back. The paper trims the whole model, elects without weights, and
    gives a sum of 0 the sign of the majority. Which of several elements of one magnitude are kept is, there, up to a
    sort that is not stable; here the first.
    """
    trim = TopK(density)
    return Method(StepwiseSum(normalize, elect=True), each=(MatchL1(trim) if rescale else trim,))
