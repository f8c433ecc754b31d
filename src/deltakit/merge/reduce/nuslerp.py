"""Spherical interpolation by weights, of two models or of their deltas ("NuSLERP")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deltakit.errors import RecipeError
from deltakit.merge.method import Group, Needs
from deltakit.merge.reduce.gram import Float64, Vectors, check_vectors, combined
from deltakit.merge.reduce.slerp import PARALLEL
from deltakit.sparsify.flow import Flow

__all__ = ["Nuslerp", "arc", "cosine_of", "place_of"]


@dataclass(frozen=True)
class Nuslerp:
    """Slerp (Shoemake, 1985) with t = w2 / (w1 + w2): over a named base the deltas turn, else the models. The vectors
    whose angle counts are whole tensors, or their rows or columns one by one."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    needs: ClassVar[Needs] = "models"
    scaled: ClassVar[bool] = False
    most: ClassVar[int] = 2
    vectors: Vectors = "tensor"

    def __post_init__(self) -> None:
        check_vectors(self.vectors)

    def check(self, weights: Sequence[float]) -> None:
        """Two models, and weights that say a place between them."""
        if len(weights) > 2:
            raise RecipeError(f"nuslerp takes two models, not {len(weights)}", remedy="multislerp takes any number")
        place_of(weights)

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """A lone model is itself."""
        return (1.0,) if len(weights) == 1 else None

    def over(self, group: Group) -> Flow:
        """The turned delta, or what turns the base into the turned model."""
        if len(group.flows) == 1:
            return group.flows[0]
        t = place_of(group.weights)

        def rule(gram: Float64) -> Float64:
            return np.stack(arc(cosine_of(gram), t))

        return combined(group, rule, self.vectors, deltas=group.based)


def place_of(weights: Sequence[float]) -> float:
    """t of the second model; halfway where both weights are 0. RecipeError for weights that lead off the arc."""
    if any(not w >= 0 or math.isinf(w) for w in weights):
        raise RecipeError(
            f"weights {', '.join(f'{w:g}' for w in weights)}: a place between two models needs weights from 0 up",
            remedy="the share of the second weight in both is how far it goes toward the second model",
        )
    sum_ = math.fsum(weights)
    return weights[-1] / sum_ if sum_ > 0 else 0.5


def cosine_of(gram: Float64) -> Float64:
    """The cosines of two vectors from their inner products (2, 2, ...); 1 where one is zero and has no direction."""
    some = (gram[0, 0] > 0) & (gram[1, 1] > 0)
    lengths = np.sqrt(gram[0, 0]) * np.sqrt(gram[1, 1])
    return np.asarray(np.divide(gram[0, 1], lengths, out=np.ones_like(lengths), where=some))


def arc(cosine: Float64, t: float) -> tuple[Float64, Float64]:
    """The factors of the first and the second vector at t; those of the straight line where the vectors are nearly
    parallel, opposite or zero."""
    bent = np.abs(cosine) <= PARALLEL
    angle = np.arccos(np.where(bent, cosine, 0.0))
    first = np.where(bent, np.sin((1 - t) * angle) / np.sin(angle), 1 - t)
    return first, np.where(bent, np.sin(t * angle) / np.sin(angle), t)
