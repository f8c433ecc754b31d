"""A bit for every element, and what the bits leave behind as a low-rank matrix in few bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from deltakit.compress.codec import Context
from deltakit.compress.codecs.sign import SignCodec
from deltakit.compress.codecs.svd_mixed import SvdMixed
from deltakit.compress.fit.bands import allot, clip, expected, most, parse_bands
from deltakit.compress.fit.residual import residual_spectrum
from deltakit.compress.offer import Offer, Study
from deltakit.delta.coding.factor import Code
from deltakit.delta.terms.base import Float32, Term
from deltakit.delta.terms.lowrank import payload_bytes
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.sign import sign_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["SignLowrank"]

_LADDER = (1.125, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)  # bits per parameter


@dataclass(frozen=True)
class SignLowrank:
    """D-QReLO (arXiv 2604.16940): signs first, then the singular directions of what they leave, with coded factors in
    the place of the paper's 16-bit ones, which lose a third more at 2 bits per parameter.

    The factors are those of `svd_mixed`: every direction in the bits that it is worth, within what the signs leave of
    the budget; or all in `bits` (1 to 8, or 16), as many as there is room for or `rank`. `scale` and `zeros` are those
    of `sign`, `rounds` of `svd_mixed`.
    """

    name: ClassVar[str] = "sign_lowrank"
    bits: int = 0
    rank: int = 0
    scale: str = "scalar"
    zeros: str = "auto"
    rounds: int = 2

    def __post_init__(self) -> None:
        SignCodec(self.scale, self.zeros)
        if self.bits not in (*range(9), 16) or self.rank < 0 or self.rounds < 1:
            raise RecipeError(
                f"sign_lowrank(bits={self.bits}, rank={self.rank}, rounds={self.rounds}) cannot be",
                remedy="bits is 1 to 8 or 16 (0: as worth), rank 0 (by the budget) or more, rounds 1 or more",
            )

    @property
    def fixed(self) -> bool:
        """A rank that is written out follows no budget."""
        return self.rank > 0

    def least(self, spec: TensorSpec) -> int:
        shape = matrix_shape(spec)
        return sign_bytes(shape, self.scale) + payload_bytes(shape, [(self._code, min(max(1, self.rank), *shape))])

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        signs = sign_bytes(matrix_shape(spec), self.scale)
        svd, left = self._factors(spec, self._room(spec, budget) - signs)
        return signs + svd.nbytes(spec, left)

    def encode(self, rows: Float32, ctx: Context) -> tuple[Term, ...]:
        room, shape = self.nbytes(ctx.spec, ctx.budget), matrix_shape(ctx.spec)
        spare = room - payload_bytes(shape, [(self._code, min(max(1, self.rank), *shape))])  # ranks before zeros
        sign = SignCodec(self.scale, self.zeros).signs(rows, replace(ctx, budget=spare))
        left = rows - sign.rows(0, ctx.spec.rows).reshape(rows.shape)
        if not left.any():
            return (sign,)
        svd, budget = self._factors(ctx.spec, room - sign.nbytes)
        return sign, *svd.encode(left, replace(ctx, budget=budget))

    def offers(self, study: Study) -> Iterator[Offer]:
        """Sizes from 1.125 to 4 bits per parameter (or `rank`), by the spectrum that signs leave (`residual_spectrum`)
        and what factors of such bits lose."""
        signs = sign_bytes(matrix_shape(study.spec), self.scale)
        spectrum = residual_spectrum(study)
        if not spectrum.any():
            return
        for size in (0.0,) if self.fixed else _LADDER:
            budget = None if self.fixed else max(self.least(study.spec), int(size * study.spec.numel / 8))
            svd, left = self._factors(study.spec, self._room(study.spec, budget) - signs)
            shape, known = matrix_shape(study.spec), parse_bands(svd.bands) if svd.bands else None
            bands = clip(known, len(spectrum)) if known else allot(spectrum, shape, left or 0)
            yield Offer(self, budget, self.nbytes(study.spec, budget), expected(spectrum, bands))

    @property
    def _code(self) -> Code:
        """The code of the smallest factors, or of all."""
        return "F16" if self.bits == 16 else self.bits or (4 if self.rank else 2)

    def _room(self, spec: TensorSpec, budget: int | None) -> int:
        """Bytes for everything."""
        if self.rank:
            return self.least(spec)
        if budget is None:
            raise RecipeError("sign_lowrank needs a size", remedy="give --ratio or --bytes, or sign_lowrank(rank=64)")
        return max(budget, self.least(spec))

    def _factors(self, spec: TensorSpec, room: int) -> tuple[SvdMixed, int | None]:
        """The codec of what signs leave and its budget."""
        shape = matrix_shape(spec)
        if not self.rank and not self.bits:
            return SvdMixed(rounds=self.rounds), room
        rank = self.rank or most(lambda k: [(self._code, k)], min(shape), shape, room)
        return SvdMixed(bands=f"{16 if self._code == 'F16' else self._code}:{max(1, rank)}", rounds=self.rounds), None
