"""How our lm-eval tasks score: filters that extract an answer by a named rule, then deltakit's own comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deltakit.grade.answers import extract
from deltakit.grade.equivalence import same_exactly
from deltakit.grade.worker import shared_worker

__all__ = ["INVALID", "equivalence", "exact", "last_number", "marked"]

INVALID = "[no answer]"  # what a filter gives where its rule finds nothing
Responses = Iterable[Iterable[str]]
Documents = Iterable[Mapping[str, Any]]


def _filter(how: str) -> Callable[[Responses, Documents], list[list[str]]]:
    """A filter for lm-eval's "custom": each response of each document becomes its answer."""

    def one(response: str, form: Any) -> str:
        found = extract(response, how, form)
        return INVALID if found is None else found.text

    def apply(responses: Responses, documents: Documents) -> list[list[str]]:
        return [[one(r, doc["form"]) for r in given] for given, doc in zip(responses, documents, strict=True)]

    return apply


marked = _filter("marked")
last_number = _filter("last_number")


def exact(doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
    """exact_match: equal to the gold answer without rounding or algebra; answered: an answer was found at all."""
    answer = results[0]
    found = answer != INVALID
    return {
        "exact_match": float(found and same_exactly(answer, doc["gold"], doc["form"])),
        "answered": float(found),
    }


def equivalence(doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
    """As `exact`, and math_verify: equal by that or, within five seconds, by algebra."""
    scores = exact(doc, results)
    same = bool(scores["exact_match"])
    if not same and scores["answered"]:
        same = shared_worker().same(results[0], doc["gold"]).same
    return {**scores, "math_verify": float(same)}
