"""DARE with TIES (Yu et al., 2023, arXiv 2311.03099, section 3.2; TIES: arXiv 2306.01708)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.trim import Trim

__all__ = ["dare_ties"]


def dare_ties(density: float, trim_density: float = 0.2, scope: str = "model") -> Method:
    """Drop each delta to density with rescaling, then TIES at trim_density (Yu et al., 2023).

    scope "tensor" takes the thresholds and the majority of TIES tensor by tensor.
    """
    return Method(ElectedMean(scope), each=(Drop(density), Trim(trim_density, scope)))
