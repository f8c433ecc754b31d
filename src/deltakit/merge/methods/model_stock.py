"""Model Stock (Jang et al., 2024, arXiv 2403.19522, section 4)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.model_stock import ModelStock
from deltakit.merge.reduce.stepwise_pairs import StepwiseModelStock

__all__ = ["mergekit", "model_stock"]


def model_stock() -> Method:
    """The mean of the models, drawn to the base the more their deltas differ in direction (Jang et al., 2024)."""
    return Method(ModelStock())


def mergekit(filter_wise: bool = False) -> Method:
    """Model Stock with every step rounded; filter-wise, with an angle for each row."""
    return Method(StepwiseModelStock("row" if filter_wise else "tensor"))
