"""Short answers, or long ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltakit.errors import RecipeError
from deltakit.generate.play import Ask
from deltakit.generate.request import Completion
from deltakit.generate.scorers import Scoring

__all__ = ["Length"]


@dataclass(frozen=True)
class Length:
    """The shortest answer that says anything, or the longest; in tokens. One cut by its limit comes last of all."""

    prefer: str = "short"

    def __post_init__(self) -> None:
        if self.prefer not in ("short", "long"):
            raise RecipeError(f"length: prefer is {self.prefer!r}", remedy="'short' or 'long'")

    def score(self, ask: Ask, found: Sequence[Completion]) -> Scoring:
        """Tokens, negative where short ones are preferred; empty and cut answers are below all others."""
        yield from ()
        sign = 1.0 if self.prefer == "long" else -1.0
        whole = [bool(c.text.strip()) and c.reason != "length" for c in found]
        return [sign * len(c.tokens) if ok else float("-inf") for c, ok in zip(found, whole, strict=True)]
