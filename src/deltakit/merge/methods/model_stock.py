"""Model Stock (Jang et al., 2024, arXiv 2403.19522, section 4)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.model_stock import ModelStock

__all__ = ["model_stock"]


def model_stock() -> Method:
    """The mean of the models, drawn to the base the more their deltas differ in direction (Jang et al., 2024)."""
    return Method(ModelStock())
