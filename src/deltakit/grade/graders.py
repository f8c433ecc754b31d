"""Graders: each finds the answer in a completion and compares it with the gold one, by rules of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from deltakit.errors import RecipeError
from deltakit.grade.answers import EXTRACTORS, Form, extract
from deltakit.grade.equivalence import same_exactly
from deltakit.grade.numbers import LONGEST, parse_number
from deltakit.grade.strings import same_string
from deltakit.grade.worker import shared_worker
from deltakit.registry import Registry, did_you_mean

__all__ = ["GRADERS", "Exact", "Grader", "MetaMath", "Symbolic", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """Right or wrong; the answer found (None: none was), the rule that found it, and what else should be known."""

    correct: bool
    answer: str | None
    how: str
    note: str = ""


NOTHING = Verdict(False, None, "none")


class Grader(Protocol):
    """What every grader does."""

    def grade(self, completion: str, gold: str, form: Form) -> Verdict:
        """Judge one completion against the gold answer."""
        ...


def _known(how: str) -> None:
    if how != "marked" and how not in EXTRACTORS:
        raise RecipeError(f"unknown extractor {how!r}", remedy=did_you_mean(how, ["marked", *EXTRACTORS]))


@dataclass(frozen=True)
class Exact:
    """Exact comparison: numbers as decimals and fractions, never rounded; expressions also as normalised strings."""

    extract: str = "marked"

    def __post_init__(self) -> None:
        _known(self.extract)

    def grade(self, completion: str, gold: str, form: Form) -> Verdict:
        found = extract(completion, self.extract, form)
        return NOTHING if found is None else Verdict(same_exactly(found.text, gold, form), found.text, found.how)


@dataclass(frozen=True)
class Symbolic:
    """As exact, and where that says no, algebra by math-verify within a limit of `seconds` an item."""

    extract: str = "marked"
    seconds: float = 5.0

    def __post_init__(self) -> None:
        _known(self.extract)
        if not 0 < self.seconds <= 3600:
            raise RecipeError(f"seconds is {self.seconds}", remedy="give a limit above 0 and up to 3600")

    def grade(self, completion: str, gold: str, form: Form) -> Verdict:
        found = extract(completion, self.extract, form)
        if found is None:
            return NOTHING
        if form == "text" or same_exactly(found.text, gold, form):
            return Verdict(same_exactly(found.text, gold, form), found.text, found.how)
        compared = shared_worker().same(found.text, gold, self.seconds)
        return Verdict(compared.same, found.text, found.how, compared.why or ("algebra" if compared.same else ""))


_SCRIPT_PHRASE = "The answer is: "
_SCRIPT_NUMBER = re.compile(r"[-+]?\d*[.,/]?\d+", re.ASCII)


def _rounded(text: str) -> int | None:
    """The first number or fraction of a text, rounded half to even; as in the script, 1,450,000 is read as 1450."""
    found = _SCRIPT_NUMBER.search(text)
    if found is None or len(found.group()) > LONGEST:
        return None
    top, _, bottom = found.group().replace(",", "").partition("/")
    if "/" in found.group() and not top.lstrip("+-"):
        return None
    value = Fraction(top)
    return round(value / Fraction(bottom) if bottom and Fraction(bottom) else value)


@dataclass(frozen=True)
class MetaMath:
    """As MetaMath's scripts score: only after "The answer is: "; numbers rounded to integers, expressions as strings.

    The rounding takes 17.6 for 18. Source: eval_gsm8k.py and eval_math.py of MetaMath.
    """

    def grade(self, completion: str, gold: str, form: Form) -> Verdict:
        if form == "text":
            raise RecipeError("the metamath grader reads numbers and expressions, not plain text", remedy='use "exact"')
        _, phrase, tail = completion.rpartition(_SCRIPT_PHRASE)
        if not phrase:
            return NOTHING
        return self._number(tail, gold) if form == "number" else self._expression(tail, gold)

    @staticmethod
    def _number(tail: str, gold: str) -> Verdict:
        found, wanted = _rounded(tail.strip()), parse_number(gold)
        if found is None:
            return NOTHING
        return Verdict(wanted is not None and found == round(wanted), str(found), "phrase")

    @staticmethod
    def _expression(tail: str, gold: str) -> Verdict:
        answer = tail.partition(".\n")[0].strip().removesuffix(".")
        return Verdict(same_string(answer, gold), answer, "phrase")


GRADERS = Registry(
    kind="grader",
    table={
        "exact": "deltakit.grade.graders:Exact",
        "metamath": "deltakit.grade.graders:MetaMath",
        "symbolic": "deltakit.grade.graders:Symbolic",
    },
    group="deltakit.graders",
)
