"""Pipelines of primitives: "trim(density=0.3) | drop(density=0.5)"."""

from __future__ import annotations

from collections.abc import Sequence

from deltakit.errors import RecipeError
from deltakit.recipe.parameters import parse_checked
from deltakit.sparsify import TRANSFORMS
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.flow import Transform
from deltakit.sparsify.magprune import MagPrune

__all__ = ["check_drops", "parse_pipeline", "spell_pipeline"]


def parse_pipeline(text: str) -> tuple[Transform, ...]:
    """The steps of "name(key=value) | name(key=value)", applied from left to right.

    Raises RecipeError for unknown names or parameters, and for two drops: both would draw the same mask.
    """
    steps: tuple[Transform, ...] = tuple(parse_checked(TRANSFORMS, part) for part in text.split("|"))
    check_drops(steps)
    return steps


def check_drops(steps: Sequence[Transform]) -> None:
    """At most one step may draw the seeded mask."""
    if sum(isinstance(s, Drop | MagPrune) for s in steps) > 1:
        raise RecipeError(
            "two drops in one pipeline would draw the same mask", remedy="multiply their densities into one"
        )


def spell_pipeline(steps: Sequence[Transform]) -> str:
    """The canonical text: parse_pipeline(spell_pipeline(x)) == x."""
    names = {TRANSFORMS.factory(n): n for n in TRANSFORMS.names()}
    return " | ".join(TRANSFORMS.spell(s, names[type(s)]) for s in steps)
