"""Plain truncated SVD with 16-bit factors: the classical baseline, and the form that a LoRA already has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.compress.codec import Context
from deltakit.compress.fit.bands import most
from deltakit.compress.fit.whiten import Inputs, whitened_svd
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Offer, Study
from deltakit.delta.measure.decompose import svd
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import LowRank, payload_bytes
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["Lowrank"]


@dataclass(frozen=True)
class Lowrank:
    """The best rank-r matrix, factors rounded once to `dtype` (F16, BF16 or F32); r from the budget, or `rank`.

    Where the inputs' second moments are known it is the best for the outputs (whitened SVD, SVD-LLM and QERA). The
    singular values are shared evenly by both sides, so that float16 neither overflows nor loses digits.
    """

    name: ClassVar[str] = "lowrank"
    rank: int = 0
    dtype: str = "F16"

    def __post_init__(self) -> None:
        if self.rank < 0 or self.dtype not in ("F16", "BF16", "F32"):
            raise RecipeError(
                f"lowrank(rank={self.rank}, dtype={self.dtype!r}) cannot be",
                remedy="rank is 0 or more, dtype F16, BF16 or F32",
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
        rank = self._rank(ctx.spec, ctx.budget)
        u, s, v = svd(rows, rank) if ctx.hessian is None else _whitened(rows, ctx.hessian, rank)
        root = np.sqrt(s)
        return (LowRank.of(ctx.spec, u * root, v * root, self.dtype),)

    def offers(self, study: Study) -> Iterator[Offer]:
        """Ranks from 1 up, each about a third more than the one before; errors from the spectrum: exact but for the
        factors' rounding and the damping of the moments (a few percent)."""
        shape = matrix_shape(study.spec)
        tail = study.energy - np.concatenate([[0.0], np.cumsum(study.spectrum)])
        ranks = [min(self.rank, *shape)] if self.rank else sorted({int(1.33**k) for k in range(99)})
        for rank in ranks:
            if rank <= min(shape):
                size = payload_bytes(shape, [(self.dtype, rank)], "")
                yield Offer(self, None if self.rank else size, size, max(0.0, float(tail[min(rank, len(tail) - 1)])))

    def _rank(self, spec: TensorSpec, budget: int | None) -> int:
        shape = matrix_shape(spec)
        if self.rank:
            return min(self.rank, *shape)
        if budget is None:
            raise RecipeError("lowrank needs a size", remedy="give --ratio or --bytes, or lowrank(rank=16)")
        return most(lambda k: [(self.dtype, k)], min(shape), shape, max(budget, self.least(spec)), "")


def _whitened(rows: Float32, hessian: Hessian, rank: int) -> tuple[Float32, Float32, Float32]:
    """U, s and V, with s the lengths of V's columns."""
    import torch

    turned = hessian.axis == 0
    with one_thread():
        delta = torch.from_numpy(np.ascontiguousarray(rows.T if turned else rows))
        u, s, v = whitened_svd(delta, Inputs.of(hessian), rank)
        real = v * s
        length = torch.linalg.vector_norm(real, dim=0)
        left, values, right = (x.float().numpy() for x in (u, length, real / torch.where(length > 0, length, 1.0)))
    return (right, values, left) if turned else (left, values, right)
