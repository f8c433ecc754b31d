"""CART (Choi et al., 2024, arXiv 2412.12153)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.centered import Centered

__all__ = ["cart"]


def cart(rank: float = 0.04, embeddings: bool = False) -> Method:
    """The mean of models plus lambda times the first directions that each leaves it by (Choi et al., 2024).

    `rank` is the share of directions. What is no matrix, and embeddings and heads unless `embeddings`, is averaged; the
    base may be left out.
    """
    return Method(Centered(embeddings, rank))
