"""Mixed-precision SVD: every singular direction of a delta in the bits that it is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.codec import Context
from deltakit.compress.fit.bands import allot, clip, expected, least_bytes, most, parse_bands, spread
from deltakit.compress.fit.refit import Target, alternate
from deltakit.compress.fit.whiten import Inputs, start
from deltakit.compress.offer import Offer, Study
from deltakit.delta.coding.factor import Factor
from deltakit.delta.coding.trellis import TRELLIS
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import Band, LowRank, payload_bytes
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["SvdMixed"]

_LADDER = (0.0625, 0.125, 0.1875, 0.25, 0.375, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)  # bits offered
_ONE_BIT = 1.5  # bits per parameter: above, ranks of 1 bit at the tail spoil more than they bring


@dataclass(frozen=True)
class SvdMixed:
    """Singular vectors in codes, the bits of each by its singular value within the budget, or `bands` as they are
    ("8:2,3:32,2:968", capped at each matrix's rank); after Delta-CoMe (arXiv 2406.08903).

    Where the inputs' second moments are known, all errors are those of the outputs: the SVD is whitened, V is coded by
    GPTQ, U fitted to it in closed form and coded in turn. V and U take turns for `rounds` rounds (1 = once each); the
    best is kept. `damp` is added to the moments, as a share of every input's energy; 0 chooses it by the number of
    samples. `trellis` codes ranks of 1 to 3 bits by a trellis, without known inputs: an error 7 to 11 % less in
    the same bytes, and some fifty times the time.
    """

    name: ClassVar[str] = "svd_mixed"
    bands: str = ""
    rounds: int = 3
    damp: float = 0.0
    trellis: bool = False

    def __post_init__(self) -> None:
        if self.bands:
            parse_bands(self.bands)
        if self.rounds < 1:
            raise RecipeError(f"svd_mixed: rounds {self.rounds} is below 1", remedy="use 1 or more; 3 is the default")
        if not 0 <= self.damp <= 10:
            raise RecipeError(f"svd_mixed: damp {self.damp} is not in 0..10", remedy="0 chooses it, the default")

    @property
    def fixed(self) -> bool:
        """Bands that are written out follow no budget."""
        return bool(self.bands)

    def least(self, spec: TensorSpec) -> int:
        return self.nbytes(spec, None) if self.bands else least_bytes(matrix_shape(spec))

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        shape = matrix_shape(spec)
        if self.bands:
            return payload_bytes(shape, clip(parse_bands(self.bands), min(shape)))
        if budget is None:
            raise RecipeError("svd_mixed needs a size", remedy="give --ratio or --bytes, or bands='8:2,3:32,2:968'")
        return min(max(budget, least_bytes(shape)), payload_bytes(shape, [(8, min(shape))]))

    def encode(self, rows: Float32, ctx: Context) -> tuple[LowRank, ...]:
        """One term. The matrix is turned where its inputs run along the rows."""
        turned = ctx.hessian is not None and ctx.hessian.axis == 0
        with one_thread():
            if ctx.hessian is not None and self._by_trellis:
                raise RecipeError(
                    f"{ctx.site.name}: trellis codes do not follow inputs", remedy="compress without calibration"
                )
            inputs = None if ctx.hessian is None else Inputs.of(ctx.hessian, self.damp, ctx.device)
            target = Target(rows.T if turned else rows, inputs, ctx.device)
            choose = partial(self._bands, ctx.spec, ctx.budget, white=inputs is None)
            most_ranks = self._ranks(ctx.spec, ctx.budget, inputs is None)
            free, s = start(target.delta, inputs, most_ranks, lambda s: len(spread(choose(np.square(s)))))
            bands = choose(np.square(s.double().numpy(force=True)))
            codes = spread(bands)
            if not codes:
                return (LowRank.packed(ctx.spec, [], np.empty(0, np.float32)),)
            first = target.first(free[:, : len(codes)], codes)
            del free  # as large as a side, and not wanted any more
            left, scales, right = alternate(target, first, codes, self.rounds)
            del target, first
        sides = (right, left) if turned else (left, right)
        a, b = (_factors(side, bands) for side in sides)
        return (LowRank.packed(ctx.spec, list(zip(a, b, strict=True)), scales),)

    @property
    def _by_trellis(self) -> bool:
        return self.trellis or any(code in TRELLIS for code, _ in (parse_bands(self.bands) if self.bands else ()))

    def offers(self, study: Study) -> Iterator[Offer]:
        """Sizes from 1/16 bit to 6 bits per parameter; errors from the spectrum and the loss of a rank by its bits
        (bands.LOSS): within a tenth of what comes out up to 2 bits, a fifth at 3 and half as much again beyond."""
        shape = matrix_shape(study.spec)
        for bits in (0.0,) if self.fixed else _LADDER:
            budget = None if self.fixed else max(least_bytes(shape), int(bits * study.spec.numel / 8))
            bands = self._bands(study.spec, budget, study.spectrum, study.hessian is None)
            yield Offer(self, budget, payload_bytes(shape, bands), expected(study.spectrum, bands))

    def _ranks(self, spec: TensorSpec, budget: int | None, white: bool) -> int:
        """How many ranks may be wanted."""
        shape = matrix_shape(spec)
        if self.bands:
            return sum(rank for _, rank in clip(parse_bands(self.bands), min(shape)))
        cap = self.nbytes(spec, budget)
        return most(lambda k: [(_narrowest(shape, cap, white), k)], min(shape), shape, cap)

    def _bands(
        self, spec: TensorSpec, budget: int | None, spectrum: NDArray[np.float64], white: bool
    ) -> tuple[Band, ...]:
        if self.bands:
            return clip(parse_bands(self.bands), len(spectrum))
        if not len(spectrum) or not spectrum[0] > 0:
            return ()
        shape, cap = matrix_shape(spec), self.nbytes(spec, budget)
        bands = allot(spectrum, shape, cap, _narrowest(shape, cap, white))
        return tuple((f"T{code}" if self.trellis and f"T{code}" in TRELLIS else code, rank) for code, rank in bands)


def _narrowest(shape: tuple[int, int], budget: int, white: bool) -> int:
    """The fewest bits of a rank."""
    return 1 if white and 8 * budget <= _ONE_BIT * shape[0] * shape[1] else 2


def _factors(values: Float32, bands: Sequence[Band]) -> list[Factor]:
    """The stored numbers of a side as one factor per band."""
    made, at = [], 0
    for code, rank in bands:
        part = values[:, at : at + rank]
        made.append(Factor.of(part if isinstance(code, str) else (part + ((1 << code) - 1) / 2).astype(np.uint8), code))
        at += rank
    return made
