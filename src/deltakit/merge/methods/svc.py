"""Singular value calibration (Li et al., 2026, arXiv 2602.05536, section 4)."""

from __future__ import annotations

from deltakit.merge import METHODS
from deltakit.merge.method import Method
from deltakit.merge.reduce.calibrated import Calibrated
from deltakit.recipe.parameters import parse_checked

__all__ = ["svc"]


def svc(merger: str = "task_arithmetic", alpha: float = 1.0) -> Method:
    """Another method's result with the directions damped that it counts several times (Li et al., 2026).

    `merger` is task_arithmetic, tsv_m, iso_c or iso_cts, with its parameters; a larger alpha damps more.
    """
    return Method(Calibrated(parse_checked(METHODS, merger), alpha))
