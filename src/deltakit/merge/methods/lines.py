"""Task arithmetic scaled by depth: LiNeS (Wang et al., 2024, arXiv 2410.17146)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.weighted_sum import WeightedSum
from deltakit.sparsify.lines import Lines

__all__ = ["lines"]


def lines(alpha: float, beta: float) -> Method:
    """Task arithmetic, each layer times what rises with its depth from alpha to alpha + beta (Wang et al., 2024)."""
    return Method(WeightedSum(), post=(Lines(alpha, beta),))
