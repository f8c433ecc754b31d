"""One bit per element: the sign of the delta times a scale (BitDelta)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.codec import Context
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import matrix_shape
from deltakit.delta.terms.sign import Sign, scale_shape, sign_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["SignCodec"]

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class SignCodec:
    """BitDelta (arXiv 2402.10193): sign times the mean magnitude, which is the best scale; one for the matrix
    ("scalar"), or one per "row" or "column" (arXiv 2512.19720).

    Exact zeros are kept by a mask ("keep"), given signs in turn so that they have no bias ("spread"), or "auto": kept
    where that lowers the error by a larger share than it raises the bytes, and where the budget has room.
    """

    name: ClassVar[str] = "sign"
    scale: str = "scalar"
    zeros: str = "auto"

    def __post_init__(self) -> None:
        if self.scale not in ("scalar", "row", "column") or self.zeros not in ("auto", "keep", "spread"):
            raise RecipeError(
                f"sign(scale={self.scale!r}, zeros={self.zeros!r})",
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

    def signs(self, rows: Float32, ctx: Context) -> Sign:
        """The one term."""
        plus, zero = rows > 0, rows == 0
        if not zero.any():
            return Sign.of(ctx.spec, plus, self._scales(rows, None), self.scale)
        kept = Sign.of(ctx.spec, plus, self._scales(rows, ~zero), self.scale, ~zero)
        spread = Sign.of(ctx.spec, plus | _alternate(zero), self._scales(rows, None), self.scale)
        if self.zeros != "auto":
            return kept if self.zeros == "keep" else spread
        room = ctx.budget is None or kept.nbytes <= max(ctx.budget, spread.nbytes)
        pays = kept.nbytes * _error(rows, kept) <= spread.nbytes * _error(rows, spread)
        return kept if room and pays else spread

    def _scales(self, rows: Float32, mask: Bools | None) -> Float32:
        """Mean magnitudes of the elements that have a sign."""
        shape = scale_shape((rows.shape[0], rows.shape[1]), self.scale)
        axis = {"scalar": (0, 1), "row": (1,), "column": (0,)}[self.scale]
        total = np.abs(rows, dtype=np.float64).sum(axis=axis).reshape(shape)
        count = rows.size / max(1, shape[0] * shape[1]) if mask is None else mask.sum(axis=axis).reshape(shape)
        return np.asarray(total / np.maximum(count, 1), np.float32)


def _alternate(zero: Bools) -> Bools:
    """Every second zero, in row-major order."""
    even: Bools = (np.cumsum(zero.ravel()) % 2 == 0).reshape(zero.shape)
    return np.asarray(zero & even, np.bool_)


def _error(rows: Float32, term: Sign) -> float:
    """The squared error of a term."""
    difference = rows - term.rows(0, term.spec.rows).reshape(rows.shape)
    return float((difference.astype(np.float64) ** 2).sum())
