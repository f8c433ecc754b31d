"""RAM+ (Yuan et al., 2026, arXiv 2601.13572, section 4)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.ram import Ram

__all__ = ["mergekit", "ramplus"]


def ramplus(epsilon: float = 1e-5, r: float = 0.1, alpha: float = 0.2, scope: str = "model") -> Method:
    """RAM, with each model's own changes times 1 + r * min(shared / own, alpha) (Yuan et al., 2026).

    shared and own count the changes that a model shares with others and those it alone made: over the whole model, or
    with scope "tensor" tensor by tensor, as mergekit's ramplus_tl does.
    """
    return Method(Ram(epsilon, r, alpha, scope))


def mergekit(epsilon: float = 1e-5, r: float = 0.1, alpha: float = 0.2) -> Method:
    """RAM, with each model's own changes times 1 + r * min(shared / own, alpha), counted tensor by tensor.

    mergekit computes means in the dtype and the rest in float32; with a narrow dtype and no out_dtype it writes float32
    files, where ours rounds to the dtype.
    """
    return Method(Ram(epsilon, r, alpha, "tensor", stepwise=True))
