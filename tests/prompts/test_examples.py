"""The worked examples are right: every equation in them holds, and the answer is what the solution ends at."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from deltakit.prompts.examples import COMPETITION, GRADE, Example

EQUATION = re.compile(r"(\d[\d.]*(?: [-+*/] \d[\d.]*)+) = (\d[\d.]*\d|\d)")
BOTH = [*GRADE, *COMPETITION]


def value(expression: str) -> Fraction:
    """A chain of one kind of operation, or of + and -, from left to right."""
    words = expression.split()
    found = Fraction(words[0])
    for sign, number in zip(words[1::2], words[2::2], strict=True):
        other = Fraction(number)
        found = {"+": found + other, "-": found - other, "*": found * other, "/": found / other}[sign]
    return found


@pytest.mark.parametrize("example", GRADE, ids=lambda e: e.answer)
def test_every_equation_holds_and_the_last_gives_the_answer(example: Example) -> None:
    equations = EQUATION.findall(example.solution)
    assert equations
    for left, right in equations:
        assert value(left) == Fraction(right), f"{left} = {right}"
    assert equations[-1][1] == example.answer


def test_the_competition_answers_by_another_way() -> None:
    rolls = [(a, b) for a in range(1, 7) for b in range(1, 7)]
    assert sum(x for x in range(-20, 20) if x * x - 7 * x + 10 == 0) == int(COMPETITION[0].answer)
    assert (sum(max(roll) == 3 for roll in rolls), len(rolls)) == (5, 36)
    assert COMPETITION[1].answer == r"\frac{5}{36}"
    assert float(COMPETITION[2].answer) == 6 * 8 / (6 + 8 + 10)
    assert pytest.approx((50**0.5 + 18**0.5) / 4) == 2 * 2**0.5
    assert all(example.answer in example.solution for example in (COMPETITION[0], *COMPETITION[2:]))


def test_examples_differ_and_hints_do_not_give_the_answer_away() -> None:
    assert (len(GRADE), len(COMPETITION)) == (8, 4)
    assert len({example.question for example in BOTH}) == len({example.answer for example in GRADE}) + 4
    for example in BOTH:
        assert example.hint.endswith(".")
        assert not re.search(rf"\b{re.escape(example.answer)}\b", example.hint)
