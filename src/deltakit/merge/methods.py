"""The named methods, one composition each, in the papers' arithmetic. Their keywords are the recipe's keys."""

from __future__ import annotations

from deltakit.merge.elected_mean import ElectedMean
from deltakit.merge.method import Method
from deltakit.merge.slerp import Slerp
from deltakit.merge.weighted_sum import WeightedMean, WeightedSum
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.trim import Trim

__all__ = ["dare_linear", "dare_ties", "linear", "slerp", "task_arithmetic", "ties"]


def task_arithmetic() -> Method:
    """base + lambda * sum of w * delta (Ilharco et al., 2022). The default: the method current evidence supports."""
    return Method(WeightedSum())


def linear(normalize: bool = True) -> Method:
    """sum of w * model, divided by sum of w if normalize; the base may be left out."""
    return Method(WeightedMean(normalize))


def ties(density: float = 0.2) -> Method:
    """Trim each whole delta to density, elect signs, average the agreeing, times lambda (Yadav et al., 2023)."""
    return Method(ElectedMean(), each=(Trim(density),))


def dare_linear(density: float) -> Method:
    """Drop each delta to density with rescaling, then task arithmetic (Yu et al., 2023)."""
    return Method(WeightedSum(), each=(Drop(density),))


def dare_ties(density: float, trim_density: float = 0.2) -> Method:
    """Drop each delta to density with rescaling, then TIES at trim_density (Yu et al., 2023)."""
    return Method(ElectedMean(), each=(Drop(density), Trim(trim_density)))


def slerp(t: float) -> Method:
    """Along the arc from the first model (t = 0) to the second (t = 1), tensor by tensor."""
    return Method(Slerp(t))
