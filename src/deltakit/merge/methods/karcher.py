"""The Karcher mean of models on the sphere (arXiv 2603.04972)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.karcher import Karcher, KarcherOfAll

__all__ = ["karcher", "mergekit"]


def karcher(iterations: int = 10, tolerance: float = 1e-5) -> Method:
    """The mean of the models' directions on the sphere, tensor by tensor, at the mean of their lengths (2603.04972)."""
    return Method(Karcher(iterations, tolerance))


def mergekit(max_iter: int = 10, tol: float = 1e-5) -> Method:
    """The mean of all models and a named base, whatever their weights."""
    return Method(KarcherOfAll(max_iter, tol))
