"""DARE with TIES (Yu et al., 2023, arXiv 2311.03099, section 3.2; TIES: arXiv 2306.01708)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.methods.dare_linear import dropped
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.trim import Trim

__all__ = ["dare_ties", "mergekit"]


def dare_ties(density: float, trim_density: float = 0.2, scope: str = "model") -> Method:
    """Drop each delta to density with rescaling, then TIES at trim_density (Yu et al., 2023).

    scope "tensor" takes the thresholds and the majority of TIES tensor by tensor.
    """
    return Method(ElectedMean(scope), each=(Drop(density), Trim(trim_density, scope)))


def mergekit(density: float = 1.0, normalize: bool = False, rescale: bool = True) -> Method:
    """Drop each delta to density, elect the sign of the weighted sum, and add the agreeing.

    mergekit does not trim, lets the weights elect, counts a sum of 0 as plus, and adds instead of averaging unless
    normalize; survivors are scaled to the tensor's L1 norm (see dare_linear).
    """
    return Method(StepwiseSum(normalize, elect=True), each=(dropped(density, rescale),))
