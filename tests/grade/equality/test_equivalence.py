from __future__ import annotations

import pytest

from deltakit.grade.answers import Form
from deltakit.grade.equality.equivalence import judge, same_exactly


@pytest.mark.parametrize(
    ("answer", "gold", "form"),
    [
        ("18.00", "18", "number"), ("1,000", "1000", "number"), ("0.25", r"\frac14", "number"), ("3.0", "3", "math"),
        ("$5", "5", "math"), (r"\left(1,2\right)", "(1,2)", "math"), ("x=3", "3", "math"), (" a b ", "a b", "text"),
    ],
)  # fmt: skip
def test_equal(answer: str, gold: str, form: Form) -> None:
    assert same_exactly(answer, gold, form)


@pytest.mark.parametrize(
    ("answer", "gold", "form"),
    [
        ("17.6", "18", "number"), ("18.0000001", "18", "number"), ("0.333", "1/3", "number"), ("x=3", "3", "number"),
        ("eighteen", "eighteen", "number"), (r"\pi/2", r"\frac{\pi}{2}", "math"), ("A b", "a b", "text"),
        ("3.0", "3", "text"),
    ],
)  # fmt: skip
def test_not_equal(answer: str, gold: str, form: Form) -> None:
    assert not same_exactly(answer, gold, form)


def test_two_units_or_names_that_differ_are_never_dropped() -> None:
    assert not same_exactly(r"12\text{ cm}", r"12\text{ m}", "math")
    assert not same_exactly("x=3", "y=3", "math")
    assert not same_exactly(r"12\%", r"12^\circ", "math")
    assert same_exactly(r"12\text{ cm}", "12", "math")


def test_structure_only_where_it_is_asked_for() -> None:
    assert judge("2,1", "1,2", "math", structure=False).same is False
    assert judge("2,1", "1,2", "math").same is True
    assert judge(r"\int x", "3", "math").same is None
    assert judge(r"\int x", "3", "math", structure=False).same is False


@pytest.mark.parametrize(
    ("answer", "gold", "form", "why"),
    [
        ("1/2", "0.5", "number", "1/2 = 0.5 as fractions"), ("3.0", "3", "number", "3.0 = 3 as numbers"),
        ("3", "3", "number", "the same number 3"), ("3", "4", "number", "differs: 3 vs 4"),
        (r"\frac12 x", r"\frac{1}{2}x", "math", r"\frac12 x = \frac{1}{2}x as strings"),
        ("(1,3)", "(1,2)", "math", "(1,3) vs (1,2): part 2: values differ"),
        ("a" * 100, "b", "text", "differs: " + "a" * 57 + "... vs b"),
    ],
)  # fmt: skip
def test_the_reason_can_be_read(answer: str, gold: str, form: Form, why: str) -> None:
    assert judge(answer, gold, form).why == why
