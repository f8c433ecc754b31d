"""Drop and rescale as a codec: a seeded mask costs no bytes, the survivors are quantised."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deltakit import rng
from deltakit.compress.codec import Context
from deltakit.compress.fit.groups import error, grid_pays, quantise_rows
from deltakit.compress.fit.kept import keeping, survivors
from deltakit.compress.offer import Offer, Study
from deltakit.delta.coding.factor import Code
from deltakit.delta.coding.packing import pack
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.seeded import Seeded, seeded_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec, from_float32

__all__ = ["Dare"]

_SAMPLE = 1 << 14
_LADDER = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125)


@dataclass(frozen=True)
class Dare:
    """DARE (arXiv 2311.03099) with coded survivors: a share `density` of the elements, drawn by `seed`, the model and
    the tensor's name, on grids of `bits` (1 to 8; 16 is bfloat16, 32 float32) with a bfloat16 scale per `group`
    survivors. Without `density`, as many survivors as the budget has room for.

    Survivors are divided by their share, so that the sum is unbiased; by `q` where it is given (DAREx, arXiv
    2410.09344: a q above the share loses less when little is kept), by nothing without `rescale`.
    """

    name: ClassVar[str] = "dare"
    bits: int = 4
    density: float = 0.0
    group: int = 128
    rescale: bool = True
    q: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bits not in (*range(1, 9), 16, 32) or self.group < 1:
            raise RecipeError(
                f"dare(bits={self.bits}, group={self.group}) cannot be",
                remedy="bits is 1 to 8, 16 or 32, group 1 or more",
            )
        if not 0 <= self.density <= 1 or not 0 <= self.q <= 1:
            raise RecipeError(
                f"dare(density={self.density}, q={self.q}) cannot be",
                remedy="density (the share that is kept) and q (what survivors are divided by) are in (0, 1]; "
                "0 leaves them to the budget and to the share",
            )

    @property
    def fixed(self) -> bool:
        """A density that is written out follows no budget."""
        return self.density > 0

    def least(self, spec: TensorSpec) -> int:
        kept = self._kept(spec, None) if self.density else min(1, spec.numel)
        return seeded_bytes(spec.numel, kept, self._code, self.group)

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        return seeded_bytes(spec.numel, self._kept(spec, budget), self._code, self.group)

    def encode(self, rows: Float32, ctx: Context) -> tuple[Seeded, ...]:
        kept = self._kept(ctx.spec, ctx.budget)
        key = rng.key(self.seed, ctx.site.model, ctx.site.name)
        threshold = keeping(key, rows.size, kept)
        values, counts = survivors(rows, key, threshold)
        values = values / np.float32(self._divisor(kept / max(1, rows.size)))
        zero, raw = False, from_float32(values, self._code).tobytes() if isinstance(self._code, str) else b""
        if isinstance(self._code, int):
            zero = grid_pays(values[None], self._code, self.group)
            codes, scales = quantise_rows(values[None], self._code, self.group, zero)
            raw = from_float32(scales.ravel(), "BF16").tobytes() + pack(codes, self._code)
        return (Seeded(ctx.spec, key, threshold, self._code, self.group, counts, memoryview(raw), zero),)

    def offers(self, study: Study) -> Iterator[Offer]:
        """Shares of a half, a quarter and so on. The expected error of a share p divided by q, of values that lose a
        share d in coding (grids with the best scale, whose errors are orthogonal to what they make): E * (1 + p *
        (1 - d) * (1/q**2 - 2/q)). Without coding and with q = p this is the E * (1 - p) / p of the paper."""
        lost = self._loss(study.rows)
        for p in (self.density,) if self.density else _LADDER:
            codec, q = replace(self, density=p), self._divisor(p)
            share = 1 + p * (1 - lost) * (1 / q**2 - 2 / q)
            yield Offer(codec, None, codec.least(study.spec), study.spread * share)

    def _loss(self, rows: Float32) -> float:
        """The share of energy that coding the survivors loses, on a sample."""
        some = rows.reshape(-1)[:: max(1, rows.size // _SAMPLE)][None]
        energy = float((some.astype(np.float64) ** 2).sum())
        if isinstance(self._code, str) or energy == 0:
            return 0.0
        return error(some, self._code, self.group, grid_pays(some, self._code, self.group)) / energy

    @property
    def _code(self) -> Code:
        return {16: "BF16", 32: "F32"}.get(self.bits, self.bits)

    def _divisor(self, share: float) -> float:
        return (self.q or share or 1.0) if self.rescale else 1.0

    def _kept(self, spec: TensorSpec, budget: int | None) -> int:
        """How many elements are kept."""
        if self.density:
            return min(spec.numel, max(1, round(self.density * spec.numel)))
        if budget is None:
            raise RecipeError("dare needs a size", remedy="give --ratio or --bytes, or dare(density=0.25)")
        room = max(budget, self.least(spec))  # for one at least
        return bisect_right(
            range(1, spec.numel + 1), room, key=lambda k: seeded_bytes(spec.numel, k, self._code, self.group)
        )
