"""Nearswap: a step toward another model that is bounded element by element."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.nearswap import Nearswap
from deltakit.merge.reduce.stepwise_pairs import StepwiseNearswap

__all__ = ["mergekit", "nearswap"]


def nearswap(t: float) -> Method:
    """The base, or first model, with each element moved toward the other model by at most t."""
    return Method(Nearswap(t))


def mergekit(t: float) -> Method:
    """Nearswap with every step rounded."""
    return Method(StepwiseNearswap(t))
