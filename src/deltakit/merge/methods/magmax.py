"""MagMax (Marczak et al., 2024, arXiv 2407.06322)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.magmax import MagMax

__all__ = ["magmax"]


def magmax() -> Method:
    """Per element the change of largest magnitude, times lambda (Marczak et al., 2024, which scales by 0.5)."""
    return Method(MagMax())
