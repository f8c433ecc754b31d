"""Consensus task arithmetic (Wang et al., 2024, arXiv 2405.07813)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.consensus import Consensus

__all__ = ["consensus"]


def consensus(threshold: float = 0.4, k: int = 2) -> Method:
    """Task arithmetic at the positions that at least k models use by their TALL masks (Wang et al., 2024).

    A model uses a position where |delta| > threshold * |sum of the others|; the paper tunes it within 0.2 to 0.6.
    """
    return Method(Consensus(threshold, k))
