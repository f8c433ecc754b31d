"""SCE (Wan et al., 2024, FuseChat, arXiv 2408.07990, section 3.3)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.sce import Sce

__all__ = ["mergekit", "sce"]


def sce(select_topk: float = 0.1) -> Method:
    """Select where the models vary most, weigh each by its changes there, erase minority signs (Wan et al., 2024)."""
    return Method(Sce(select_topk))


def mergekit(select_topk: float = 1.0) -> Method:
    """Select where the models vary most, weigh each by its changes there, erase minority signs.

    mergekit rounds every step to the dtype, counts a sum of 0 as plus, weighs models equally in tensors whose mean
    squares sum to less than 1e-6 (small changes of a float32 model), and ignores weights and lambda. Which of several
    positions of one variance are selected is, there, up to the library's selection; here the first.
    """
    return Method(Sce(select_topk, stepwise=True))
