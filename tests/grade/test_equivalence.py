from __future__ import annotations

import pytest

from deltakit.grade.answers import Form
from deltakit.grade.equivalence import same_exactly


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
