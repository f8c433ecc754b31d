"""Plain truncated SVD with 16-bit factors: the classical baseline, and the form that a LoRA already has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.compress.codec import Context
from deltakit.compress.fit.bands import most
from deltakit.delta.measure.decompose import svd
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import LowRank, matrix_shape, payload_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["Lowrank"]


@dataclass(frozen=True)
class Lowrank:
    """The best rank-r matrix, factors rounded once to `dtype` (F16, BF16 or F32); r from the budget, or `rank`.

    The singular values are shared evenly by both sides, so that float16 neither overflows nor loses digits.
    """

    name: ClassVar[str] = "lowrank"
    rank: int = 0
    dtype: str = "F16"

    def __post_init__(self) -> None:
        if self.rank < 0 or self.dtype not in ("F16", "BF16", "F32"):
            raise RecipeError(
                f"lowrank(rank={self.rank}, dtype={self.dtype!r})", remedy="rank is 0 or more, dtype F16, BF16 or F32"
            )

    @property
    def fixed(self) -> bool:
        """A rank that is written out follows no budget."""
        return self.rank > 0

    def least(self, spec: TensorSpec) -> int:
        shape = matrix_shape(spec)
        return payload_bytes(shape, [(self.dtype, min(max(1, self.rank), *shape))], "")

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        return payload_bytes(matrix_shape(spec), [(self.dtype, self._rank(spec, budget))], "")

    def encode(self, rows: Float32, ctx: Context) -> tuple[LowRank, ...]:
        u, s, v = svd(rows, self._rank(ctx.spec, ctx.budget))
        root = np.sqrt(s)
        return (LowRank.of(ctx.spec, u * root, v * root, self.dtype),)

    def _rank(self, spec: TensorSpec, budget: int | None) -> int:
        shape = matrix_shape(spec)
        if self.rank:
            return min(self.rank, *shape)
        if budget is None:
            raise RecipeError("lowrank needs a size", remedy="give --ratio or --bytes, or lowrank(rank=16)")
        return most(lambda k: [(self.dtype, k)], min(shape), shape, max(budget, self.least(spec)), "")
