"""Samplers: which settings are tried, asked in rounds; a round is evaluated together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from deltakit.pipeline.sweep.axis import Scalar
from deltakit.pipeline.sweep.space import Space

__all__ = ["Asked", "Sampler", "Study"]

Asked: TypeAlias = dict[str, Scalar]


class Study(Protocol):
    """One search. The same answers told in the same order make it ask the same, so that a killed sweep is replayed."""

    def ask(self) -> list[Asked]:
        """The settings of the next round; none: the search is over."""
        ...

    def tell(self, scores: Sequence[float | None]) -> None:
        """The objectives of the round just asked, in its order; None for a candidate that failed."""
        ...


class Sampler(Protocol):
    """What `sampler:` names."""

    @property
    def most(self) -> int | None:
        """At most so many candidates; None: as many as the space has."""
        ...

    def study(self, space: Space) -> Study:
        """A new search of a space; RecipeError where it cannot search it."""
        ...
