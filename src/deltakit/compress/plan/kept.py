"""Leaving a matrix as it came: an offer that no codec makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deltakit.compress.codec import Context
from deltakit.delta.terms.base import Float32, Term
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["Kept"]


@dataclass(frozen=True)
class Kept:
    """What a delta file or an adapter stores is stored again, whatever it takes."""

    name: ClassVar[str] = "kept"

    @property
    def fixed(self) -> bool:
        """It is what it is."""
        return True

    def least(self, spec: TensorSpec) -> int:
        """Only the operand knows."""
        return 0

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        """What was measured."""
        return budget or 0

    def encode(self, rows: Float32, ctx: Context) -> tuple[Term, ...]:
        """Never: the planner gives such a row the action "kept"."""
        raise RecipeError("a kept matrix is not encoded")
