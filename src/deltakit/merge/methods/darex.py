"""DAREx-q (Deng et al., 2024, arXiv 2410.09344, section 4.1)."""

from __future__ import annotations

from deltakit.merge.compute.rescale import DropSearched
from deltakit.merge.method import Method
from deltakit.merge.reduce.weighted_sum import WeightedSum

__all__ = ["darex"]


def darex(density: float, scope: str = "model", steps: int = 10) -> Method:
    """DARE whose kept elements are divided by a q searched on text, then task arithmetic (Deng et al., 2024)."""
    return Method(WeightedSum(), each=(DropSearched(density, scope, steps),))
