"""`exact`: no codec at all, every bit of the fine-tune."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Exactly"]


@dataclass(frozen=True)
class Exactly:
    """Lossless, in the smallest of several forms: range-coded differences (given the exponents of the base), a list of
    the elements that changed, a copy of another tensor, byte planes. "svd_mixed; *lm_head*=exact" keeps the head.

    Bits per parameter follow from the fine-tune: some 6 for large steps, 1 to 3 for small ones, well under 0.1 where
    most elements did not change (reinforcement learning in bfloat16).
    """

    name: ClassVar[str] = "exact"

    @property
    def fixed(self) -> bool:
        """It follows no budget."""
        return True
