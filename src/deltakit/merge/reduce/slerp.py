"""Spherical interpolation between two models, tensor by tensor (Shoemake, 1985)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.terms.base import Float32
from deltakit.errors import NonFiniteError, RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow, Pull
from deltakit.tensors import row_blocks

__all__ = ["LANES", "PARALLEL", "Arced", "Arcs", "Slerp"]

LANES = 1024
PARALLEL = 0.9995  # |cosine| above which the arc is as good as straight


@dataclass(frozen=True)
class Slerp:
    """From the first model (t = 0) to the second (t = 1) along the arc between their directions.

    The angle is that of the two unit vectors of a tensor, the factors sin((1-t)a)/sin(a) and sin(ta)/sin(a) apply to
    the tensors as they are. Nearly parallel or zero tensors are interpolated linearly.
    """

    symmetric: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "pair"
    scaled: ClassVar[bool] = False
    t: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.t <= 1.0:
            raise RecipeError(f"t {self.t} is not in [0, 1]", remedy="0 is the first model, 1 the second")

    def check(self, weights: Sequence[float]) -> None:
        """The place between the two is t; weights would say it twice."""
        if any(w != 1.0 for w in weights):
            raise RecipeError("slerp takes no weights", remedy="say the place between the two models by t")

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """At its ends it is one of the two models."""
        return (self.t,) if self.t in (0.0, 1.0) else None

    def over(self, group: Group) -> Flow:
        """What has to be added to the first model; the angle of each tensor is found when it is first asked for."""
        (flow,) = group.flows
        return Flow(flow.specs, Arced(Arcs(flow, group.base, self.t)), "", 0, flow.measures)


@dataclass(frozen=True)
class Arced:
    """The pull of a slerp, by name, so that a fused kernel can tell what it computes."""

    arcs: Arcs

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        rest, second = self.arcs.of(name)
        moved = np.float32(second) * self.arcs.flow.pull(name, lo, hi)
        return moved + np.float32(rest) * self.arcs.base(name, lo, hi) if rest else moved


@dataclass(frozen=True)
class Arcs:
    """With factors f and g of the two models a and b = a + delta: f*a + g*b = a + (f + g - 1)*a + g*delta."""

    flow: Flow
    base: Pull
    t: float
    found: dict[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[float, float]:
        """(f + g - 1, g) of a tensor."""
        return self.settle(name, lambda: self._products(name))

    def settle(self, name: str, products: Callable[[], NDArray[np.float64]]) -> tuple[float, float]:
        """(f + g - 1, g) of a tensor; `products` gives the lanes of a * a, a * b and b * b, unless that was done."""
        if name not in self.found:  # two threads at one tensor would find the same
            self.found[name] = _factors(_cosine(name, products()), self.t)
        return self.found[name]

    def _products(self, name: str) -> NDArray[np.float64]:
        total = np.zeros((3, LANES))
        for lo, hi in row_blocks(self.flow.specs[name]):
            a = self.base(name, lo, hi).astype(np.float64).ravel()
            b = a + self.flow.pull(name, lo, hi).ravel()
            total += [_lanes(a * a), _lanes(a * b), _lanes(b * b)]
        return total


def _lanes(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Element i of a range goes to sum i % LANES, in order: an order of summing that vector units can keep to."""
    padded = np.zeros((-(-products.size // LANES), LANES))
    padded.ravel()[: products.size] = products
    found: NDArray[np.float64] = np.add.reduce(padded, axis=0)
    return found


def _cosine(name: str, products: NDArray[np.float64]) -> float | None:
    """The cosine between the two models' tensors, in float64; None where one of them is zero."""
    aa, ab, bb = (float(lanes.sum()) for lanes in products)
    if not math.isfinite(aa + bb):
        raise NonFiniteError(f"tensor {name!r}: the models hold values that are not finite", remedy="check the models")
    return ab / math.sqrt(aa * bb) if aa > 0 and bb > 0 else None


def _factors(cosine: float | None, t: float) -> tuple[float, float]:
    if cosine is None or abs(cosine) > PARALLEL:
        return 0.0, t
    angle = math.acos(cosine)
    first, second = math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)
    return first + second - 1.0, second
