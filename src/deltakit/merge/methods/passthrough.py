"""One model as it is, or times a number."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.scaled_model import ScaledModel

__all__ = ["mergekit", "passthrough"]


def passthrough(factor: float = 1.0) -> Method:
    """One model, times factor; at factor 1 its bits are kept."""
    return Method(ScaledModel(factor))


def mergekit(scale: float = 1.0) -> Method:
    """One model, times scale."""
    return Method(ScaledModel(scale))
