"""Best of n: several answers are drawn, a scorer chooses one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deltakit import rng
from deltakit.errors import RecipeError
from deltakit.generate.play import Ask, Play
from deltakit.generate.scorers import SCORERS, best

__all__ = ["BestOf"]


@dataclass(frozen=True)
class BestOf:
    """`n` answers are drawn, the scorer `by` chooses one.

    Of equal scores the first wins. `temperature` is used where the task itself is greedy. Each draw has a seed of its
    own, made from the item's.
    """

    n: int = 4
    by: str = "likelihood"
    temperature: float = 0.7

    def __post_init__(self) -> None:
        if self.n < 1:
            raise RecipeError(f"best_of: n is {self.n}", remedy="at least 1")
        if not 0 < self.temperature <= 100:
            raise RecipeError(f"best_of: temperature is {self.temperature}", remedy="above 0, e.g. 0.7")
        SCORERS.parse(self.by)

    def play(self, ask: Ask) -> Play:
        """The text of the answer that was chosen."""
        warm = replace(ask, temperature=ask.temperature or self.temperature)
        found = yield [replace(warm, seed=rng.key(ask.seed, "best_of", str(i))) for i in range(self.n)]
        scores = yield from SCORERS.parse(self.by).score(ask, found)
        return str(found[best(scores)].text)
