"""RAM (Yuan et al., 2026, arXiv 2601.13572, section 4)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.ram import Ram

__all__ = ["mergekit", "ram"]


def ram(epsilon: float = 1e-5) -> Method:
    """Take what one model alone changed as it is, and the mean of what several changed (Yuan et al., 2026).

    An element is changed if its delta's magnitude is above epsilon.
    """
    return Method(Ram(epsilon))


def mergekit(epsilon: float = 1e-5) -> Method:
    """Take what one model alone changed as it is, and the mean of what several changed.

    mergekit divides each delta by the count in the dtype before it adds, and ignores weights and lambda.
    """
    return Method(Ram(epsilon, stepwise=True))
