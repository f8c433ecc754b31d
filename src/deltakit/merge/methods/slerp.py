"""Spherical interpolation of two models (Shoemake, 1985)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.slerp import Slerp

__all__ = ["slerp"]


def slerp(t: float) -> Method:
    """Along the arc from the first model (t = 0) to the second (t = 1), tensor by tensor."""
    return Method(Slerp(t))
