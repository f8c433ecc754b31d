"""Two-stage hints: the model is asked for a hint, then for the solution with its hint before it.

Source: Hint-before-Solving Prompting (Fu et al. 2024), the form in two calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deltakit import rng
from deltakit.errors import RecipeError
from deltakit.generate.play import Ask, Play

__all__ = ["Hints"]


@dataclass(frozen=True)
class Hints:
    r"""Two stages: a hint is asked for, then the solution behind it.

    First prompt + "\n" + `ask` up to the end of the line, then prompt + "\n" + `ask` + hint + "\n" + `then`.
    `most`: new tokens of a hint. The text that is graded is the solution alone. A mark that the prompt ends with is
    not said twice; a model that gives no hint is asked for the solution without one.
    """

    ask: str = "Hint:"
    then: str = "Solution:"
    most: int = 128

    def __post_init__(self) -> None:
        if not self.ask.strip():
            raise RecipeError("hints: ask is empty", remedy="the words before a hint, e.g. 'Hint:'")
        if self.most < 1:
            raise RecipeError(f"hints: most is {self.most}", remedy="at least 1 new token for a hint")

    def play(self, ask: Ask) -> Play:
        """The text of the second stage."""
        bare = ask.prompt.rstrip()
        stem = bare.removesuffix(self.ask.strip()).rstrip()
        before = f"{stem}\n{self.ask}" if stem == bare else bare
        seed, most = rng.key(ask.seed, "hints", "hint"), min(self.most, ask.max_new_tokens)
        (found,) = yield [replace(ask, prompt=before, stop=("\n", *ask.stop), max_new_tokens=most, seed=seed)]
        hint = found.text.strip()
        shown = f"{before} {hint}" if hint else stem
        (found,) = yield [replace(ask, prompt=f"{shown}\n{self.then}")]
        return str(found.text)
