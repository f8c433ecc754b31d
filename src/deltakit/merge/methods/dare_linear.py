"""DARE with task arithmetic (Yu et al., 2023, arXiv 2311.03099, section 3.2)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.weighted_sum import WeightedSum
from deltakit.sparsify.drop import Drop

__all__ = ["dare_linear"]


def dare_linear(density: float) -> Method:
    """Drop each delta to density with rescaling, then task arithmetic (Yu et al., 2023)."""
    return Method(WeightedSum(), each=(Drop(density),))
