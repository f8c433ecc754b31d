"""TIES (Yadav et al., 2023, arXiv 2306.01708, section 4)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.sparsify.trim import Trim

__all__ = ["ties"]


def ties(density: float = 0.2, scope: str = "model") -> Method:
    """Trim each whole delta to density, elect signs, average the agreeing, times lambda (Yadav et al., 2023).

    scope "tensor" trims each tensor to density by itself, and lets each tensor's majority decide its sums of 0.
    """
    return Method(ElectedMean(scope), each=(Trim(density, scope),))
