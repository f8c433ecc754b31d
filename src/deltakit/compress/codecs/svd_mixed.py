"""Mixed-precision SVD: a delta's largest singular directions in 8 bits, the next in 3, the rest in 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.compress.codec import Context
from deltakit.compress.fit.bands import clip, fill, least_bytes, parse_bands, spread
from deltakit.compress.fit.refit import code_columns, fit_scales, refit
from deltakit.delta.coding.factor import Factor
from deltakit.delta.measure.decompose import svd
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import Band, LowRank, matrix_shape, payload_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["SvdMixed", "factorise"]


@dataclass(frozen=True)
class SvdMixed:
    """Delta-CoMe (arXiv 2406.08903), data-free: bands of 8, 3 and 2 bits within the budget, or `bands` as they are
    ("8:2,3:32,2:968", capped at each matrix's rank).

    V is quantised first, then U is fitted to it and V to U, `rounds` times in all (1 = U once); the best is kept.
    """

    name: ClassVar[str] = "svd_mixed"
    bands: str = ""
    rounds: int = 3

    def __post_init__(self) -> None:
        if self.bands:
            parse_bands(self.bands)
        if self.rounds < 1:
            raise RecipeError(f"svd_mixed: rounds {self.rounds} is below 1", remedy="use 1 or more; 3 is the default")

    @property
    def fixed(self) -> bool:
        """Bands that are written out follow no budget."""
        return bool(self.bands)

    def least(self, spec: TensorSpec) -> int:
        return self.nbytes(spec, None) if self.bands else least_bytes(matrix_shape(spec))

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        return payload_bytes(matrix_shape(spec), self._bands(spec, budget, min(matrix_shape(spec))))

    def encode(self, rows: Float32, ctx: Context) -> tuple[LowRank, ...]:
        wanted = sum(rank for _, rank in self._bands(ctx.spec, ctx.budget, min(rows.shape)))
        u, s, v = svd(rows, wanted)
        return (factorise(rows, u, v, self._bands(ctx.spec, ctx.budget, len(s)), ctx.spec, self.rounds),)

    def _bands(self, spec: TensorSpec, budget: int | None, rank: int) -> tuple[Band, ...]:
        """The bands of a matrix of rank `rank`."""
        if self.bands:
            return clip(parse_bands(self.bands), rank)
        if budget is None:
            raise RecipeError("svd_mixed needs a size", remedy="give --ratio or --bytes, or bands='8:2,3:32,2:968'")
        shape = matrix_shape(spec)
        return fill(shape, max(budget, least_bytes(shape)), rank)


def factorise(rows: Float32, u: Float32, v: Float32, bands: Sequence[Band], spec: TensorSpec, rounds: int) -> LowRank:
    """The best of `rounds` coded factorisations that start from the singular vectors u, v."""
    import torch

    codes = spread(bands)
    if not codes:
        return LowRank.packed(spec, [], np.empty(0, np.float32))
    with one_thread():
        delta = torch.from_numpy(np.ascontiguousarray(rows)).clone()
        right = code_columns(v[:, : len(codes)], codes)
        found = []
        for _ in range(rounds):
            left = refit(delta, right, codes)
            s, error = fit_scales(delta, left, right)
            found.append((error, left, s, right))
            right = refit(delta.T.contiguous(), left, codes)
    _, left, s, right = min(found, key=lambda f: f[0])
    return LowRank.packed(spec, list(zip(_factors(left, bands), _factors(right, bands), strict=True)), s)


def _factors(values: Float32, bands: Sequence[Band]) -> list[Factor]:
    """The stored numbers of a side as one factor per band."""
    made, at = [], 0
    for code, rank in bands:
        part = values[:, at : at + rank]
        made.append(Factor.of(part if isinstance(code, str) else (part + ((1 << code) - 1) / 2).astype(np.uint8), code))
        at += rank
    return made
