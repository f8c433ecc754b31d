"""Core Space merging (Panariello et al., 2025, arXiv 2509.17786)."""

from __future__ import annotations

from deltakit.merge import METHODS
from deltakit.merge.compute.spaces import CoreSpace
from deltakit.merge.method import Method
from deltakit.merge.reduce.in_space import InSpace
from deltakit.recipe.parameters import parse_checked

__all__ = ["core_space"]


def core_space(merger: str = "iso_c") -> Method:
    """A method on small cores: adapters in the singular bases that their factors share (Panariello et al., 2025).

    `merger` is any of task_arithmetic, ties, dare_linear, dare_ties, tsv_m, iso_c and iso_cts, with its parameters.
    """
    return Method(InSpace(CoreSpace(), parse_checked(METHODS, merger)))
