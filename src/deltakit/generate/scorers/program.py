"""A scorer of the user's own: a reward model, a checker, a rule."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.errors import InputError, RecipeError
from deltakit.generate.play import Ask
from deltakit.generate.request import Completion
from deltakit.generate.scorers import Scoring

__all__ = ["Program"]


@dataclass(frozen=True)
class Program:
    """A Python function of the user's own, `entry` "module:function".

    It is called as function(prompt, answers) and gives one number each. It is imported only because it
    was named here; it runs in this process, with all its rights.
    """

    entry: str

    def __post_init__(self) -> None:
        self._function()

    def score(self, ask: Ask, found: Sequence[Completion]) -> Scoring:
        """Whatever the function says; InputError unless that is one finite number per answer."""
        yield from ()
        try:
            scores = [float(value) for value in self._function()(ask.prompt, [c.text for c in found])]
        except Exception as error:  # whatever the user's code raises
            raise InputError(f"scorer {self.entry} failed: {error!r}", remedy="it takes (prompt, answers)") from error
        if len(scores) != len(found) or not all(map(math.isfinite, scores)):
            problem = f"scorer {self.entry} gave {scores} for {len(found)} answers"
            raise InputError(problem, remedy="return one finite number per answer, the highest for the best")
        return scores

    def _function(self) -> Any:
        module, colon, name = self.entry.partition(":")
        if not (module and colon and name):
            raise RecipeError(f"program: entry is {self.entry!r}", remedy='write "module:function"')
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            remedy = "install the module, or put its folder on PYTHONPATH"
            raise RecipeError(f"program: {self.entry}: {error}", remedy=remedy) from error
