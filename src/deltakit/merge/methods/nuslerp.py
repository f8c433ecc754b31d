"""Spherical interpolation by weights ("NuSLERP")."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.gram import Vectors
from deltakit.merge.reduce.nuslerp import Nuslerp

__all__ = ["nuslerp"]


def nuslerp(vectors: Vectors = "tensor") -> Method:
    """Slerp of two models, or of their deltas over a base, at the second's share of the weights; by row or column too."""
    return Method(Nuslerp(vectors))
