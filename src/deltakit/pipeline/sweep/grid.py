"""The grid: every combination of the listed values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from deltakit.errors import RecipeError
from deltakit.pipeline.sweep.sampler import Asked
from deltakit.pipeline.sweep.space import Space

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """Every combination, the last field running fastest; `round` of them are evaluated together."""

    round: int = 64

    def __post_init__(self) -> None:
        if self.round < 1:
            raise RecipeError(f"sampler grid: round is {self.round}", remedy="at least 1")

    @property
    def most(self) -> int | None:
        """As many as the space has."""
        return None

    def study(self, space: Space) -> _Walk:
        """A walk over the whole grid."""
        return _Walk(list(space.grid()), self.round)


class _Walk:
    """Rounds in order; what is told changes nothing."""

    def __init__(self, points: Sequence[Asked], size: int) -> None:
        self._points, self._size = iter(points), size

    def ask(self) -> list[Asked]:
        return list(islice(self._points, self._size))

    def tell(self, scores: Sequence[float | None]) -> None:
        """Nothing."""
