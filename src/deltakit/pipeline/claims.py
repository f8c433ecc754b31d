"""Claims of a pipeline against the results of its own run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltakit.errors import RecipeError
from deltakit.pipeline.recipe import ClaimRecipe
from deltakit.registry import did_you_mean
from deltakit.report.results import Row, read_results

__all__ = ["Verdict", "check_claims"]

_BOUNDS: tuple[tuple[str, str, Callable[[float, float], bool]], ...] = (
    ("above", ">", operator.gt), ("at_least", ">=", operator.ge),
    ("below", "<", operator.lt), ("at_most", "<=", operator.le),
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """A claim, whether it holds, and the numbers that say so."""

    say: str
    holds: bool
    found: str


def check_claims(claims: Sequence[ClaimRecipe], results: Path) -> list[Verdict]:
    """Each claim against the accuracies in `results`. RecipeError for a model or task that is not in it."""
    rows = {row.name: row for row in read_results([results])}
    return [_check(claim, rows) for claim in claims]


def _check(claim: ClaimRecipe, rows: dict[str, Row]) -> Verdict:
    value = _accuracy(claim, claim.model, rows)
    name, sign, holds = next(b for b in _BOUNDS if getattr(claim, b[0]) is not None)
    bound, words = float(getattr(claim, name)), ""
    if claim.times is not None:
        whole = _accuracy(claim, claim.times, rows)
        words, bound = f" = {bound:g} x {100 * whole:.1f} % ({claim.times})", bound * whole
    found = f"{claim.model}, {claim.task}: {100 * value:.1f} %, to be {sign} {100 * bound:.1f} %{words}"
    return Verdict(claim.say, holds(value, bound), found)


def _accuracy(claim: ClaimRecipe, model: str, rows: dict[str, Row]) -> float:
    where = f"claim {claim.say!r}"
    if model not in rows:
        raise RecipeError(f"{where}: no model {model!r} in the results", remedy=did_you_mean(model, list(rows)))
    scores = rows[model].scores
    if claim.task not in scores:
        remedy = did_you_mean(claim.task, list(scores))
        raise RecipeError(f"{where}: {model!r} has no task {claim.task!r}", remedy=remedy)
    value = scores[claim.task].value
    if value is None:
        raise RecipeError(f"{where}: {model!r} has no finite accuracy on {claim.task!r}")
    return value
