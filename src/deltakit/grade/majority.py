"""Self-consistency as a scorer of drawn answers: how many others say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from deltakit.errors import RecipeError
from deltakit.generate.play import Ask
from deltakit.generate.request import Completion
from deltakit.generate.scorers import SCORERS, Scoring
from deltakit.grade.answers import Form, extract
from deltakit.grade.votes import camps, tally
from deltakit.registry import did_you_mean

__all__ = ["Majority"]


@dataclass(frozen=True)
class Majority:
    """The share of the drawn answers that are equal in value.

    With `weights`, another scorer, exp of its scores is summed instead of heads (Li et al. 2023). Answers are
    found and compared as `extract` and `form` say.
    """

    form: str = "math"
    extract: str = "marked"
    weights: str = ""

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise RecipeError(f"majority: form is {self.form!r}", remedy=did_you_mean(self.form, [*get_args(Form)]))
        extract("", self.extract, "number")  # a misspelt extractor is told before anything is drawn
        if self.weights:
            SCORERS.parse(self.weights)

    def score(self, ask: Ask, found: Sequence[Completion]) -> Scoring:
        """Shares of the whole weight; 0 where no answer is found."""
        form = cast("Form", self.form)
        answers = [None if (a := extract(c.text, self.extract, form)) is None else a.text for c in found]
        weights: Any = None
        if self.weights:
            scores = yield from SCORERS.parse(self.weights).score(ask, found)
            top = max(scores)
            weights = [math.exp(s - top) if math.isfinite(top) else 1.0 for s in scores]
        total = sum(weights) if weights else len(found)
        return [votes / total for votes in tally(camps(answers, form), weights)]
