"""Spherical interpolation of any number of models ("Multi-SLERP")."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.multislerp import Multislerp

__all__ = ["multislerp"]


def multislerp(normalize: bool = True) -> Method:
    """Mean direction at mean length of the models, or of their deltas over a base, tensor by tensor, by weight."""
    return Method(Multislerp(normalize))
