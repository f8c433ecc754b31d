"""Every element on a grid of 1 to 8 bits, a scale per group of columns: the classical quantiser, on a delta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deltakit.compress.codec import Context
from deltakit.compress.fit.group_gptq import carried_share, quantise_for
from deltakit.compress.fit.groups import grid_pays, quantise_mixed, quantise_rows
from deltakit.compress.fit.sampling import sampled
from deltakit.compress.offer import Offer, Study
from deltakit.delta.coding.grid import scaled
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.grouped import Grouped, grouped_bytes
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["GroupQuant"]


@dataclass(frozen=True)
class GroupQuant:
    """`bits` (1 to 8) per element and a bfloat16 scale per `group` columns, searched for the least squared error; no
    zero points. Without `bits`: as many as the budget has room for (with larger groups where even 1 bit has
    none), and one more for the first rows, as far as there is room.

    The grid has no zero ("midrise"), or has one and an odd step on the side of the largest number ("zero"); "auto"
    takes what loses less on a sample of rows. Where the inputs' second moments are known, codes are those of GPTQ.
    """

    name: ClassVar[str] = "group_quant"
    bits: int = 0
    group: int = 128
    grid: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.bits <= 8 or self.group < 1 or self.grid not in ("auto", "midrise", "zero"):
            raise RecipeError(
                f"group_quant(bits={self.bits}, group={self.group}, grid={self.grid!r}) cannot be",
                remedy="bits is 1 to 8 (0: by the budget), group 1 or more, grid auto, midrise or zero",
            )

    @property
    def fixed(self) -> bool:
        """Bits that are written out follow no budget."""
        return self.bits > 0

    def least(self, spec: TensorSpec) -> int:
        shape = matrix_shape(spec)
        if self.bits:
            return grouped_bytes(shape, self.bits, self.group)
        return grouped_bytes(shape, 1, max(1, shape[1]))

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        return grouped_bytes(matrix_shape(spec), *self._size(spec, budget))

    def encode(self, rows: Float32, ctx: Context) -> tuple[Grouped, ...]:
        bits, group, wide = self._size(ctx.spec, ctx.budget)
        widths = np.full(len(rows), bits)
        widths[wide:] -= wide is not None
        zero = self._zero(rows, int(widths.min(initial=bits)), group)
        if ctx.hessian is None:
            codes, scales = quantise_mixed(rows, widths, group, zero)
        else:
            codes, scales = quantise_for(rows, widths, group, zero, ctx.hessian)
        return (Grouped.of(ctx.spec, codes, scales, bits, group, zero, wide),)

    def offers(self, study: Study) -> Iterator[Offer]:
        """Every number of bits with groups of `group`, measured on a sample of rows: between two of them, budgets
        share the rows out, and errors with them. With a Hessian, errors of different elements are taken to be
        independent but for what GPTQ saves by carrying them."""
        saved = 1.0 if study.hessian is None else carried_share(study.hessian)
        for bits in (self.bits,) if self.bits else range(1, 9):
            codec = replace(self, bits=bits)
            nbytes, error = codec.least(study.spec), saved * sampled(study, codec.restored)
            yield Offer(self, None if self.bits else nbytes, nbytes, error)

    def restored(self, rows: Float32) -> Float32:
        """What fixed `bits` make of some rows."""
        zero = self._zero(rows, self.bits, self.group)
        return scaled(*quantise_rows(rows, self.bits, self.group, zero), self.group, self.bits, zero)

    def _zero(self, rows: Float32, bits: int, group: int) -> bool:
        return self.grid == "zero" or (self.grid == "auto" and grid_pays(rows, bits, group))

    def _size(self, spec: TensorSpec, budget: int | None) -> tuple[int, int, int | None]:
        """(bits, group, how many rows have so many bits: None for all, the others one less)."""
        if self.bits:
            return self.bits, self.group, None
        if budget is None:
            raise RecipeError("group_quant needs a size", remedy="give --ratio or --bytes, or group_quant(bits=4)")
        shape, room = matrix_shape(spec), max(budget, self.least(spec))
        bits, group = 1, min(self.group, max(1, shape[1]))
        while grouped_bytes(shape, bits, group) > room:
            group = min(2 * group, max(1, shape[1]))
        while bits < 8 and grouped_bytes(shape, bits + 1, group) <= room:
            bits += 1
        spare = 8 * (room - grouped_bytes(shape, bits, group) - 1)  # either stream may end within a byte
        wide = max(0, spare) // max(1, shape[1])
        return (bits + 1, group, min(shape[0], wide)) if bits < 8 and wide else (bits, group, None)
