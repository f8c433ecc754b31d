"""Spherical interpolation of any number of models ("Multi-SLERP")."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.multislerp import Multislerp
from deltakit.merge.reduce.stepwise_spheres import StepwiseMultislerp

__all__ = ["mergekit", "multislerp"]


def multislerp(normalize: bool = True) -> Method:
    """Mean direction at mean length of the models, or of their deltas over a base, tensor by tensor, by weight."""
    return Method(Multislerp(normalize))


def mergekit(normalize_weights: bool = True, eps: float = 1e-8) -> Method:
    """Multi-SLERP with every step rounded."""
    return Method(StepwiseMultislerp(normalize_weights, eps))
