"""What drawn answers are worth, by name: each scorer is a frozen dataclass whose `score` is a generator of effects.

best_of and step_beam choose by one: "likelihood", "majority(weights='likelihood')", "program(entry='module:function')".
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol, TypeAlias

from deltakit.generate.play import Ask, Effect
from deltakit.generate.request import Completion
from deltakit.registry import Registry

__all__ = ["SCORERS", "Scorer", "Scoring", "best"]

Scoring: TypeAlias = Generator[Sequence[Effect], Sequence[Any], list[float]]


class Scorer(Protocol):
    """What every scorer does."""

    def score(self, ask: Ask, found: Sequence[Completion]) -> Scoring:
        """One number per answer to the prompt of `ask`; the highest is chosen. May yield effects, as a play does."""
        ...


def best(scores: Sequence[float]) -> int:
    """The index of the highest score; of equal ones the first."""
    return max(range(len(scores)), key=scores.__getitem__)


SCORERS = Registry(
    kind="scorer",
    table={
        "length": "deltakit.generate.scorers.length:Length",
        "likelihood": "deltakit.generate.scorers.likelihood:Likelihood",
        "majority": "deltakit.grade.majority:Majority",  # it reads answers, so it lives with the extractors
        "program": "deltakit.generate.scorers.program:Program",
    },
    group="deltakit.scorers",
)
