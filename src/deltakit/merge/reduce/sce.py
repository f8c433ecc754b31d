"""SCE: select, calculate, erase (Wan et al., 2024, FuseChat, arXiv 2408.07990, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError
from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.cut import Cut, find_cut
from deltakit.sparsify.flow import Flow
from deltakit.tensors import row_blocks

__all__ = ["Sce", "SceRows"]

_FLOOR = np.float32(1e-6)


@dataclass(frozen=True)
class Sce:
    """Tensor by tensor: select the share `select_topk` of largest variance over the models (of the positions where it
    is not 0); weigh each model by the mean square of its selected delta; erase, per element, what has not the sign of
    the unweighted sum; then the weighted mean of the rest, times lambda. Where the sum is 0 no sign is a minority, and
    nothing is erased.

    With `stepwise` as mergekit computes: every step rounded to the group's dtype, a sum of 0 counts as plus, equal
    weights where the mean squares sum to less than 1e-6, a divisor of at least 1e-6, and no lambda.
    """

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    select_topk: float
    stepwise: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.select_topk <= 1.0:
            raise RecipeError(
                f"select_topk {self.select_topk} is not in [0, 1]", remedy="it is the share that is kept, e.g. 0.1"
            )

    def check(self, weights: Sequence[float]) -> None:
        """The weights are calculated."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("sce takes no weights: it calculates them", remedy="leave the weights out")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone delta of which all is selected stays as it is."""
        return (1.0,) if len(weights) == 1 and self.select_topk == 1.0 else None

    def over(self, group: Group) -> Flow:
        """The merged delta; cut and weights of a tensor are found when it is first asked for."""
        pull = SceRows(group.flows, self, group.scale, group.arithmetic)
        return Flow(group.flows[0].specs, pull, "", 0, tuple(m for f in group.flows for m in f.measures))


@dataclass(frozen=True)
class SceRows:
    """The pull of SCE, by name, so that a fused kernel can tell what it computes."""

    flows: tuple[Flow, ...]
    reduce: Sce
    scale: float
    arithmetic: Arithmetic
    found: dict[str, tuple[Cut | None, tuple[np.float32, ...]]] = field(default_factory=dict)

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        cut, weights = self.of(name)
        deltas = self._selected(name, lo, hi, cut)
        in_dtype, total = self.arithmetic, self.arithmetic.sum(deltas)
        agree = [_agrees(d, total, self.reduce.stepwise) for d in deltas]
        pairs = list(zip(deltas, weights, agree, strict=True))
        sums = in_dtype.sum([np.where(a, in_dtype.mul(d, w), np.float32(0)) for d, w, a in pairs])
        shares = in_dtype.sum([np.where(a, w, np.float32(0)) for _, w, a in pairs])
        if self.reduce.stepwise:
            return in_dtype.div(sums, np.maximum(shares, in_dtype.round(_FLOOR)))
        mean = np.divide(sums, shares, out=np.zeros_like(sums), where=shares > 0)
        return mean * np.float32(self.scale)

    def of(self, name: str) -> tuple[Cut | None, tuple[np.float32, ...]]:
        """What is selected of a tensor (None: all of it), and the models' weights."""
        if name not in self.found:  # two threads at one tensor would find the same
            cut = self._cut(name) if self.reduce.select_topk < 1.0 else None
            self.found[name] = cut, self._weights(name, cut)
        return self.found[name]

    def variance(self, name: str, lo: int, hi: int) -> Float32:
        """The variance over the models, without Bessel's correction, in float64 and rounded."""
        stack = np.stack([f.pull(name, lo, hi) for f in self.flows])
        return self.arithmetic.round(stack.var(axis=0, dtype=np.float64).astype(np.float32))

    def _cut(self, name: str) -> Cut:
        spec = self.flows[0].specs[name]
        varied = sum(int(np.count_nonzero(self.variance(name, lo, hi))) for lo, hi in row_blocks(spec))
        return find_cut(name, spec, self.variance, int(self.reduce.select_topk * varied))

    def _selected(self, name: str, lo: int, hi: int, cut: Cut | None) -> list[Float32]:
        deltas = [f.pull(name, lo, hi) for f in self.flows]
        if cut is None:
            return deltas
        held = cut.holds(self.variance(name, lo, hi), lo * self.flows[0].specs[name].row_size)
        return [np.where(held, d, np.float32(0)) for d in deltas]

    def _weights(self, name: str, cut: Cut | None) -> tuple[np.float32, ...]:
        """The mean square of each selected delta over that of all; equal where there is nothing to weigh."""
        spec, in_dtype = self.flows[0].specs[name], self.arithmetic
        totals = np.zeros(len(self.flows))
        for lo, hi in row_blocks(spec):
            deltas = self._selected(name, lo, hi, cut)
            totals += [float(in_dtype.mul(d, d).sum(dtype=np.float64)) for d in deltas]
        squares = [in_dtype.round(np.float32(t / max(1, spec.numel))) for t in totals]
        total = in_dtype.sum(squares)
        if total <= 0 or (self.reduce.stepwise and total < _FLOOR):
            return (np.float32(in_dtype.round(1 / len(totals))),) * len(totals)
        return tuple(np.float32(in_dtype.div(s, total)) for s in squares)


def _agrees(delta: Float32, total: Float32, stepwise: bool) -> NDArray[np.bool_]:
    """Which elements are not erased."""
    if stepwise:
        agrees: NDArray[np.bool_] = np.where(total >= 0, delta > 0, delta < 0)
        return agrees
    same: NDArray[np.bool_] = (total == 0) | (np.sign(delta) == np.sign(total))
    return same
