"""Graders: each finds the answer in a completion and compares it with the gold one, by rules of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from deltakit.errors import RecipeError
from deltakit.grade.answers import Form, check_rules, extract
from deltakit.grade.equality.algebra import shared_algebra
from deltakit.grade.equality.equivalence import judge
from deltakit.grade.equality.strings import same_string
from deltakit.grade.equality.worker import Compared
from deltakit.grade.numbers import LONGEST, parse_number
from deltakit.registry import Registry

__all__ = ["GRADERS", "Exact", "Grader", "MetaMath", "Symbolic", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """Right or wrong; the answer found (None: none was), the rule that found it, and `why`, to be read.

    `note` names what is counted over a file: "algebra" (only that saw the equality), "timeout", "crash", "error: ...".
    """

    correct: bool
    answer: str | None
    how: str
    note: str = ""
    why: str = field(default="", compare=False)


NOTHING = Verdict(False, None, "none", why="no answer: no mark found")


class Grader(Protocol):
    """What every grader does."""

    def grade(self, completion: str, gold: str, form: Form) -> Verdict:
        """Judge one completion against the gold answer."""
        ...


@dataclass(frozen=True)
class Exact:
    """Exact comparison: numbers as decimals and fractions, never rounded; expressions also as normalised strings."""

    extract: str = "marked"

    def __post_init__(self) -> None:
        check_rules(self.extract)

    def grade(self, completion: str, gold: str, form: Form) -> Verdict:
        found = extract(completion, self.extract, form)
        if found is None:
            return NOTHING
        judged = judge(found.text, gold, form, structure=False)
        return Verdict(bool(judged.same), found.text, found.how, why=judged.why)


@dataclass(frozen=True)
class Symbolic:
    """As exact, then by structure and value (sets, intervals, roots); what that leaves open by algebra (math-verify),
    within a limit of `seconds` an item."""

    extract: str = "marked"
    seconds: float = 5.0

    def __post_init__(self) -> None:
        check_rules(self.extract)
        if not 0 < self.seconds <= 3600:
            raise RecipeError(f"seconds is {self.seconds}", remedy="give a limit above 0 and up to 3600")

    def prepare(self, items: Iterable[tuple[str, str]], form: Form) -> None:
        """Decide by algebra, side by side, what the cheap tests leave open in these (completion, gold) pairs."""
        answers = ((extract(completion, self.extract, form), gold) for completion, gold in items)
        asked = ((found.text, gold) for found, gold in answers if found is not None)
        left = [pair for pair in asked if judge(*pair, form).same is None]
        if left:
            shared_algebra().settle(left, self.seconds)

    def grade(self, completion: str, gold: str, form: Form) -> Verdict:
        found = extract(completion, self.extract, form)
        if found is None:
            return NOTHING
        judged = judge(found.text, gold, form)
        if judged.same is not None:
            return Verdict(judged.same, found.text, found.how, why=judged.why)
        compared = shared_algebra().same(found.text, gold, self.seconds)
        note = compared.why or ("algebra" if compared.same else "")
        return Verdict(compared.same, found.text, found.how, note, _told(compared, self.seconds))


def _told(compared: Compared, seconds: float) -> str:
    """A verdict by algebra, or why there is none, in words."""
    if not compared.why:
        return "equal by algebra" if compared.same else "not shown to be equal by algebra"
    if compared.why == "timeout":
        return f"timeout after {seconds:g} s"
    return f"no verdict by algebra: {compared.why}"


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
        same = wanted is not None and found == round(wanted)
        return Verdict(same, str(found), "phrase", why=f"rounded to {found}, gold {gold}")

    @staticmethod
    def _expression(tail: str, gold: str) -> Verdict:
        answer = tail.partition(".\n")[0].strip().removesuffix(".")
        same = same_string(answer, gold)
        return Verdict(same, answer, "phrase", why="equal as strings" if same else f"differs: {answer} vs {gold}")


GRADERS = Registry(
    kind="grader",
    table={
        "exact": "deltakit.grade.graders:Exact",
        "metamath": "deltakit.grade.graders:MetaMath",
        "symbolic": "deltakit.grade.graders:Symbolic",
    },
    group="deltakit.graders",
)
