"""KnOTS (Stoica et al., 2024, arXiv 2410.19735)."""

from __future__ import annotations

from deltakit.merge import METHODS
from deltakit.merge.compute.spaces import Knots
from deltakit.merge.method import Method
from deltakit.merge.reduce.in_space import InSpace
from deltakit.recipe.parameters import parse_checked

__all__ = ["knots"]


def knots(merger: str = "ties(density=1.0)") -> Method:
    """A method on the parts S Vᵀ of one SVD of all deltas side by side, which aligns adapters (Stoica et al., 2024).

    `merger` is any of task_arithmetic, ties, dare_linear, dare_ties, tsv_m, iso_c and iso_cts, with its parameters.
    """
    return Method(InSpace(Knots(), parse_checked(METHODS, merger)))
