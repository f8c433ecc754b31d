"""One bit per element: the sign of the delta times a scale (BitDelta)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.codec import Context
from deltakit.compress.fit.sampling import column_weights
from deltakit.compress.fit.signs import best_scales, mean_scales
from deltakit.compress.offer import Offer, Study
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.sign import Sign, mask_bytes, sign_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec, row_blocks

__all__ = ["SignCodec"]

Bools = NDArray[np.bool_]
Float64 = NDArray[np.float64]
_BLOCK = 1 << 20  # elements


@dataclass(frozen=True)
class SignCodec:
    """BitDelta (arXiv 2402.10193): sign times the mean magnitude, which is the best scale; one for the matrix
    ("scalar"), or one per "row" or "column" (arXiv 2512.19720). Where the inputs' second moments are known, the best
    scales are those for the outputs.

    Exact zeros are kept by a mask ("keep"), given signs in turn so that they have no bias ("spread"), or "auto": kept
    where that lowers the error by a larger share than it raises the bytes, and where the budget has room.
    """

    name: ClassVar[str] = "sign"
    scale: str = "scalar"
    zeros: str = "auto"

    def __post_init__(self) -> None:
        if self.scale not in ("scalar", "row", "column") or self.zeros not in ("auto", "keep", "spread"):
            raise RecipeError(
                f"sign(scale={self.scale!r}, zeros={self.zeros!r}) cannot be",
                remedy="scale is scalar, row or column; zeros is auto, keep or spread",
            )

    @property
    def fixed(self) -> bool:
        """One bit is one bit."""
        return True

    def least(self, spec: TensorSpec) -> int:
        return sign_bytes(matrix_shape(spec), self.scale)

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        return self.least(spec)

    def encode(self, rows: Float32, ctx: Context) -> tuple[Sign, ...]:
        return (self.signs(rows, ctx),)

    def offers(self, study: Study) -> Iterator[Offer]:
        """A scale for all, per row and per column. Sizes are true, errors formulas: without a Hessian exact but for the
        rounding of the scales; with one for signs that are as good as noise: the share e that they lose leaves
        e * delta and white noise of energy e (1 - e)."""
        rows, zero = study.rows, study.rows == 0
        masks = [None] if not zero.any() else [~zero] if self.zeros == "keep" else [None, ~zero]
        masks = masks[:1] if self.zeros == "spread" else masks
        choices = [(0 if m is None else mask_bytes(m), _Sums.of(rows, m)) for m in masks]
        energy = choices[0][1].energy
        for scale in ("scalar", "row", "column"):
            codec = replace(self, scale=scale)
            found = [
                (sign_bytes(matrix_shape(study.spec), scale, int(sums.count)) + bitmap, sums.lost(scale))
                for bitmap, sums in choices
            ]
            nbytes, lost = min(reversed(found), key=lambda f: f[0] * f[1])  # as `signs` decides, kept first
            error = lost * energy
            if study.hessian is not None:
                noise = float(np.broadcast_to(column_weights(study), rows.shape).mean(dtype=np.float64))
                error = lost**2 * study.energy + lost * (1 - lost) * energy * noise
            yield Offer(codec, None, nbytes, error)

    def signs(self, rows: Float32, ctx: Context) -> Sign:
        """The one term."""
        plus, zero = rows > 0, rows == 0
        if not zero.any():
            return self._term(rows, plus, None, ctx)
        kept = self._term(rows, plus, ~zero, ctx)
        spread = self._term(rows, plus | _alternate(zero), None, ctx)
        if self.zeros != "auto":
            return kept if self.zeros == "keep" else spread
        room = ctx.budget is None or kept.nbytes <= max(ctx.budget, spread.nbytes)
        pays = kept.nbytes * _error(rows, kept) <= spread.nbytes * _error(rows, spread)
        return kept if room and pays else spread

    def _term(self, rows: Float32, plus: Bools, mask: Bools | None, ctx: Context) -> Sign:
        """Signs with the best scales."""
        if ctx.hessian is None:
            scales = mean_scales(rows, mask, self.scale)
        else:
            signs = np.where(plus, np.float32(1), np.float32(-1))
            signs = signs if mask is None else signs * mask
            scales = best_scales(rows, signs, self.scale, ctx.hessian)
        return Sign.of(ctx.spec, plus, scales, self.scale, mask)


@dataclass(frozen=True)
class _Sums:
    """Sums of squares and magnitudes, and the number of elements that have a sign, by rows and by columns."""

    energy: float
    rows: Float64
    columns: Float64
    in_rows: Float64
    in_columns: Float64

    @classmethod
    def of(cls, values: Float32, mask: Bools | None) -> _Sums:
        """Of a matrix, its signs kept where the mask says so (None: everywhere)."""
        height, width = values.shape
        step, energy, rows, columns = max(1, _BLOCK // max(1, width)), 0.0, np.zeros(height), np.zeros(width)
        for lo in range(0, height, step):
            size = np.abs(values[lo : lo + step])
            energy += float(np.einsum("ij,ij", size, size))
            rows[lo : lo + step] = size.sum(axis=1)
            columns += size.sum(axis=0)
        if mask is None:
            return cls(energy, rows, columns, np.full(height, float(width)), np.full(width, float(height)))
        counts = (np.count_nonzero(mask, axis=axis).astype(np.float64) for axis in (1, 0))
        return cls(energy, rows, columns, *counts)

    @property
    def count(self) -> float:
        """All that have a sign."""
        return float(self.in_rows.sum())

    def lost(self, scale: str) -> float:
        """The share of the energy that signs leave with the best scales, which take off sum² / count each."""
        sums, counts = {
            "scalar": (self.rows.sum(), self.in_rows.sum()),
            "row": (self.rows, self.in_rows),
            "column": (self.columns, self.in_columns),
        }[scale]
        left = self.energy - float((sums**2 / np.maximum(counts, 1)).sum())
        return max(0.0, left) / self.energy if self.energy else 0.0


def _alternate(zero: Bools) -> Bools:
    """Every second zero, in row-major order."""
    even = np.zeros(zero.size, np.bool_)
    even[np.flatnonzero(zero)[1::2]] = True
    return even.reshape(zero.shape)


def _error(rows: Float32, term: Sign) -> float:
    """The squared error of a term, in row ranges."""
    flat, error = rows.reshape(term.spec.rows, term.spec.row_size), 0.0
    for lo, hi in row_blocks(term.spec):
        error += float(np.square(flat[lo:hi] - term.rows(lo, hi), dtype=np.float64).sum())
    return error
