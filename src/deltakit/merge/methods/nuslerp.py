"""Spherical interpolation by weights ("NuSLERP")."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.gram import Vectors
from deltakit.merge.reduce.nuslerp import Nuslerp
from deltakit.merge.reduce.stepwise_spheres import StepwiseNuslerp

__all__ = ["mergekit", "nuslerp"]


def nuslerp(vectors: Vectors = "tensor") -> Method:
    """Slerp of two models, or of their deltas over a base, at the second's share of the weights; by row or column."""
    return Method(Nuslerp(vectors))


def mergekit(nuslerp_flatten: bool = True, nuslerp_row_wise: bool = False) -> Method:
    """NuSLERP with every step rounded. Unflattened, `row_wise` bends columns, and its absence rows."""
    return Method(StepwiseNuslerp("tensor" if nuslerp_flatten else "column" if nuslerp_row_wise else "row"))
