"""Delta-CoMe as it was published, so that it can be compared: nothing of ours is in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from deltakit.compress.codec import Context
from deltakit.compress.fit.bands import clip, parse_bands
from deltakit.compress.fit.gptq import gptq
from deltakit.delta.coding.minmax import MinMax
from deltakit.delta.measure.decompose import triplets
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.minmax import Bits, MinMaxLowRank, minmax_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

if TYPE_CHECKING:
    import torch

__all__ = ["DeltaCome", "published_rank"]


def published_rank(shape: tuple[int, int], bits: float, r8: int = 2, r3: int = 32) -> float:
    """Delta-CoMe's storage matching: the 2-bit ranks at `bits` nominal bits per parameter, scales and zeros not
    counted. 968 for 4096 x 4096 at one bit (a sixteenth of bf16)."""
    return (bits * shape[0] * shape[1] / (shape[0] + shape[1]) - 8 * r8 - 3 * r3) / 2


@dataclass(frozen=True)
class DeltaCome:
    """Delta-CoMe (arXiv 2406.08903) as published: 2 ranks of 8 bits, 32 of 3 bits and the rest 2 bits within the budget
    (true bytes), or `bands`; plain SVD, min-max grids with a zero per `group`, GPTQ with falling energies first.

    V is coded with the inputs' moments (to the nearest where none are known), then U, band by band, with those of
    s Vᵀ x; the singular values stay apart in bfloat16. Where it differs: grids of groups are found beforehand, so that
    the file needs no index of them, and each matrix is coded by itself.
    """

    name: ClassVar[str] = "delta_come"
    bands: str = ""
    group: int = 128

    def __post_init__(self) -> None:
        codes = [code for code, _ in parse_bands(self.bands)] if self.bands else []
        if any(isinstance(code, str) for code in codes) or self.group < 1:
            raise RecipeError(
                f"delta_come(bands={self.bands!r}, group={self.group}) cannot be",
                remedy="bits are 1 to 8, groups 1 or more",
            )

    @property
    def fixed(self) -> bool:
        """Bands that are written out follow no budget."""
        return bool(self.bands)

    def least(self, spec: TensorSpec) -> int:
        return self.nbytes(spec, None if self.bands else 0)

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        shape = matrix_shape(spec)
        return self._size(shape, list(self._bands(shape, budget, min(shape))))

    def encode(self, rows: Float32, ctx: Context) -> tuple[MinMaxLowRank, ...]:
        import torch

        turned = ctx.hessian is not None and ctx.hessian.axis == 0
        shape = matrix_shape(ctx.spec)
        with one_thread():
            gram = None if ctx.hessian is None else torch.from_numpy(ctx.hessian.gram).double()
            delta = torch.from_numpy(np.ascontiguousarray(rows.T if turned else rows))
            u, s, v = triplets(delta, sum(rank for _, rank in self._bands(shape, ctx.budget, min(shape))))
            pairs, at = [], 0
            for bits, rank in self._bands(shape, ctx.budget, len(s)):
                part = slice(at, at + rank)
                pairs.append(self._pair(u[:, part], s[part], v[:, part], bits, gram))
                at += rank
        return (MinMaxLowRank.of(ctx.spec, pairs, s[:at].float().numpy(), self.group, turned),)

    def _pair(
        self, u: torch.Tensor, s: torch.Tensor, v: torch.Tensor, bits: int, gram: torch.Tensor | None
    ) -> tuple[MinMax, MinMax]:
        """Vᵀ and U of one band: U knows what V has become."""
        import torch

        right = gptq(np.ascontiguousarray(v.numpy().T), gram, bits, self.group)
        seen = torch.from_numpy(right.values().T).double() * s
        moments = seen.T @ (seen if gram is None else gram @ seen)
        return right, gptq(np.ascontiguousarray(u.numpy()), moments, bits, self.group)

    def _bands(self, shape: tuple[int, int], budget: int | None, rank: int) -> tuple[Bits, ...]:
        """The bands of a matrix of rank `rank`: as written, or as many of 8, 3 and 2 bits as fit, in this order. What
        fits is counted for either side as the inputs."""
        if self.bands:
            return tuple((int(code), size) for code, size in clip(parse_bands(self.bands), rank))
        if budget is None:
            raise RecipeError("delta_come needs a size", remedy="give --ratio or --bytes, or bands='8:2,3:32,2:968'")
        made: list[Bits] = []
        for bits, most in ((8, 2), (3, 32), (2, rank)):
            top = min(most, rank - sum(size for _, size in made))
            size = bisect_right(range(1, top + 1), budget, key=lambda k: self._size(shape, [*made, (bits, k)]))
            made += [(bits, size)] if size else []
        return tuple(made) or ((2, min(1, rank)),) * (rank > 0)

    def _size(self, shape: tuple[int, int], bands: list[Bits]) -> int:
        return max(minmax_bytes(side, bands, self.group) for side in (shape, shape[::-1]))
