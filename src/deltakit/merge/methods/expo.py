"""ExPO (Zheng et al., 2024, arXiv 2404.16792)."""

from __future__ import annotations

from deltakit.merge.method import Method
from deltakit.merge.reduce.extrapolated import Extrapolated

__all__ = ["expo"]


def expo(alpha: float = 0.1) -> Method:
    """An aligned model plus alpha times its change from the base it was aligned from (Zheng et al., 2024)."""
    return Method(Extrapolated(alpha))
