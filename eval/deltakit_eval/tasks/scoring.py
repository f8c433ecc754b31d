"""How our lm-eval tasks score: filters that extract an answer by a named rule, then deltakit's own comparison.

Thoughts between thinking marks are cut before an answer is looked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deltakit.grade.abstain import abstains, marked_abstains
from deltakit.grade.answers import extract
from deltakit.grade.equality.algebra import same_by_algebra
from deltakit.grade.equality.equivalence import same_exactly
from deltakit.grade.formulas import last_formula
from deltakit.grade.ifeval import check
from deltakit.grade.numbers import parse_number
from deltakit.grade.thinking import strip_thinking

__all__ = [
    "INVALID",
    "abstention",
    "abstention_anywhere",
    "equivalence",
    "exact",
    "instructions",
    "last_math",
    "last_number",
    "marked",
    "marked_abstention",
    "mean_of_all",
    "verdicts",
]

INVALID = "[no answer]"  # what a filter gives where its rule finds nothing
Document = Mapping[str, Any]
Filter = Callable[[Iterable[Iterable[str]], Iterable[Document]], list[list[str]]]


def _filter(name: str, rule: Callable[[str, Document], str | None]) -> Filter:
    """A filter for lm-eval's "custom": each response of each document becomes its answer."""

    def one(response: str, doc: Document) -> str:
        found = rule(strip_thinking(response).text, doc)
        return INVALID if found is None else found

    def apply(responses: Iterable[Iterable[str]], documents: Iterable[Document]) -> list[list[str]]:
        return [[one(r, doc) for r in given] for given, doc in zip(responses, documents, strict=True)]

    apply.__name__ = apply.__qualname__ = name  # a task file names a filter by module and name
    return apply


def _extracted(how: str) -> Callable[[str, Document], str | None]:
    def rule(response: str, doc: Document) -> str | None:
        found = extract(response, how, doc["form"])
        return None if found is None else found.text

    return rule


def _verdicts(response: str, doc: Document) -> str:
    about = json.loads(doc["details"])
    found = check(response, about["instruction_id_list"], about["kwargs"])
    return json.dumps([vars(verdict) for verdict in found], ensure_ascii=False)


marked = _filter("marked", _extracted("marked"))
last_number = _filter("last_number", _extracted("last_number"))
last_math = _filter("last_math", lambda response, doc: _extracted("marked")(response, doc) or last_formula(response))
marked_abstention = _filter("marked_abstention", lambda response, doc: marked_abstains(response))
abstention_anywhere = _filter("abstention_anywhere", lambda response, doc: abstains(response))
verdicts = _filter("verdicts", _verdicts)


def exact(doc: Document, results: list[str]) -> dict[str, float]:
    """exact_match: equal to the gold answer without rounding or algebra (numbers: at most the task's `near` away);
    answered: an answer was found at all."""
    answer = results[0]
    found = answer != INVALID
    same = found and (same_exactly(answer, doc["gold"], doc["form"]) or _near(answer, doc))
    return {"exact_match": float(same), "answered": float(found)}


def _near(answer: str, doc: Document) -> bool:
    number, gold = parse_number(answer), parse_number(doc["gold"])
    return number is not None and gold is not None and abs(number - gold) <= doc.get("near", 0.0)


def equivalence(doc: Document, results: list[str]) -> dict[str, float]:
    """As `exact`, and math_verify: equal by that, by structure and value or, within five seconds, by algebra."""
    scores = exact(doc, results)
    same = bool(scores["exact_match"])
    if not same and scores["answered"]:
        same = same_by_algebra(results[0], doc["gold"], doc["form"])
    return {**scores, "math_verify": float(same)}


def abstention(doc: Document, results: list[str]) -> dict[str, float]:
    """exact_match: the response says that the question cannot be answered."""
    found = float(results[0] != INVALID)
    return {"exact_match": found, "answered": found}


def instructions(doc: Document, results: list[str]) -> dict[str, Any]:
    """Of a prompt: are all its instructions followed, and which; strictly, and after loosening (see `grade.ifeval`)."""
    found = json.loads(results[0])
    strict, loose = [v["strict"] for v in found], [v["loose"] for v in found]
    return {
        "prompt_strict": float(all(strict)),
        "prompt_loose": float(all(loose)),
        "instruction_strict": strict,
        "instruction_loose": loose,
    }


def mean_of_all(found: Iterable[Iterable[bool]]) -> float:
    """The share of all instructions of all prompts that are followed."""
    every = [followed for prompt in found for followed in prompt]
    return sum(every) / len(every)
