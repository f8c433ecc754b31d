"""Arcee Fusion: only the changes that matter most are taken over."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.fusion import Fusion

__all__ = ["arcee_fusion"]


def arcee_fusion() -> Method:
    """The base, or first model, with the other's most important changes: outliers of |delta| times row divergence."""
    return Method(Fusion())
