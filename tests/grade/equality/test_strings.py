from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.grade.equality.strings import normalise, same_string


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("0.5", "1/2"), ("1/2", r"\frac{1}{2}"), (r"\frac12", r"\frac{1}{2}"), (r"\frac1{72}", r"\frac{1}{72}"),
        (r"\dfrac{1}{2}", r"\tfrac12"), ("x=3", "3"), ("x = 3", "3"), (r"10\%", "10"), (r"12\text{ cm}", "12"),
        (r"\$5", "5"),
        (r"90^\circ", "90"), (r"\left(3, 4\right)", "(3,4)"), (r"\sqrt3", r"\sqrt{3}"), (".5x", "0.5x"),
        (r"1,\!000", "1,000"), ("a\nb", "ab"),
    ],
)  # fmt: skip
def test_equal_as_the_benchmarks_scorer_has_it(answer: str, gold: str) -> None:
    assert same_string(answer, gold)
    assert same_string(gold, answer)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("0.25", r"\frac14"), ("1000", "1,000"), ("3.0", "3"), ("$5", "5"), ("12 cm", "12"),
        (r"\pi/2", r"\frac{\pi}{2}"),
        ("xyz=3", "3"), ("a=b=3", "3"), ("2", "3"),
    ],
)  # fmt: skip
def test_not_equal_as_the_benchmarks_scorer_has_it(answer: str, gold: str) -> None:
    assert not same_string(answer, gold)


@pytest.mark.parametrize("text", ["", r"\frac", r"\frac1", r"\frac{1}", r"\sqrt", r"\text{ ", "/", "=", r"\boxed{"])
def test_broken_latex_is_left_and_equals_itself(text: str) -> None:
    assert same_string(text, text)


@given(st.text(alphabet=r"\frac{}12 /.=x$%" + "\n"))
def test_any_text_is_survived(text: str) -> None:
    assert isinstance(normalise(text), str)
