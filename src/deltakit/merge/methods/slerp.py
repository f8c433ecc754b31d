"""Spherical interpolation of two models (Shoemake, 1985)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.slerp import Slerp
from deltakit.merge.reduce.stepwise_spheres import StepwiseSlerp

__all__ = ["mergekit", "slerp"]


def slerp(t: float) -> Method:
    """Along the arc from the first model (t = 0) to the second (t = 1), tensor by tensor."""
    return Method(Slerp(t))


def mergekit(t: float) -> Method:
    """Slerp in float32, rounded once; a zero tensor lies at a right angle to all."""
    return Method(StepwiseSlerp(t))
