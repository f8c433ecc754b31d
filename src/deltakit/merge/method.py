"""What a merging method is: primitives for each delta, one reducer, primitives for the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from deltakit.merge.compute.arithmetic import FLOAT32, Arithmetic
from deltakit.sparsify.flow import Flow, Pull, Transform

__all__ = ["Group", "Method", "Needs", "Reducer"]

# "base": deltas over a named base. "models": the base may be left out, then one of the models stands in for it.
# "pair": exactly two models, or a base and one model. "one": a single model.
Needs = Literal["base", "models", "pair", "one"]


@dataclass(frozen=True)
class Group:
    """What a reducer sees: the deltas behind their primitives, their weights, the base's shared rows, the factor lambda
    of the result, the models' own rows (base + delta, before any primitive), and the arithmetic to work in. All rows
    are float32; weights are the same for all tensors of a group. `models` and `flows` are in one order. Where no base
    is named (`based` false), one of the models stands in for it."""

    flows: tuple[Flow, ...]
    weights: tuple[float, ...]
    base: Pull
    scale: float = 1.0
    models: tuple[Pull, ...] = ()
    arithmetic: Arithmetic = FLOAT32
    based: bool = True
    calibrator: Any = None  # for reducers that look at text (`calibrated = True`): `deltakit.merge.compute.calibration`


class Reducer(Protocol):
    """Makes one delta of many: a frozen dataclass."""

    symmetric: ClassVar[bool]  # the order of models does not matter
    unbiased: ClassVar[bool]  # linear in each delta, so that unbiased primitives stay unbiased
    needs: ClassVar[Needs]
    scaled: ClassVar[bool]  # lambda has a meaning

    def check(self, weights: Sequence[float]) -> None:
        """RecipeError for weights that it cannot work with."""
        ...

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """Where the merged delta is sum of coefficient * delta and nothing else: the coefficients, else None."""
        ...

    def over(self, group: Group) -> Flow:
        """The merged delta, lazily; adding it to the base gives the merged model. With `whole = True` on the reducer
        the flow holds the merged model itself."""
        ...


@dataclass(frozen=True)
class Method:
    """A composition: `each` delta through its primitives, `reduce` to one, `post` on that."""

    reduce: Reducer
    each: tuple[Transform, ...] = ()
    post: tuple[Transform, ...] = ()

    @property
    def unbiased(self) -> bool:
        """The mean over seeds is the method without its random primitives."""
        return self.reduce.unbiased and all(s.unbiased for s in (*self.each, *self.post))

    @property
    def symmetric(self) -> bool:
        """The order of models does not matter."""
        return self.reduce.symmetric

    @property
    def identity(self) -> bool:
        """A lone model at weight 1 is the result, bit for bit. A reducer says `identity = False` where it is not."""
        return bool(getattr(self.reduce, "identity", True))

    @property
    def whole(self) -> bool:
        """The reducer gives the merged model itself, not a delta."""
        return bool(getattr(self.reduce, "whole", False))

    @property
    def calibrated(self) -> bool:
        """Some primitive of it looks at text, as it says by `calibrated = True`."""
        return any(getattr(s, "calibrated", False) for s in (self.reduce, *self.each, *self.post))

    @property
    def matrices(self) -> bool:
        """Whole matrices are held at once, instead of ranges of some MB. A reducer says so by `matrices = True`."""
        return self.calibrated or bool(getattr(self.reduce, "matrices", False))
