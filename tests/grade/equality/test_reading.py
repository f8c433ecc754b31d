from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.grade.equality.reading import read_shape
from deltakit.grade.equality.shapes import Equation, Group, Quantity, Words
from deltakit.grade.equality.terms import Unread


@pytest.mark.parametrize(
    ("answer", "kind", "parts"),
    [
        ("(1,2)", "()", 2), ("[1,2)", "[)", 2), (r"\left(0, \infty\right]", "(]", 2), ("1,2,3", "list", 3),
        (r"\{1,2\}", "list", 2), ("1 and 2", "list", 2), (r"12\text{ and }13", "list", 2), ("x=1 or x=2", "list", 2),
        (r"1 \pm \sqrt{2}", "list", 2), (r"\{1\pm\sqrt{5},-2\}", "list", 3), (r"(0,9) \cup (9,36)", "union", 2),
        ("x < 0 or x > 3", "union", 2), ("x > 3", "()", 2), (r"-2 \le x < 7", "[)", 2), (r"x \in [-2,7]", "[]", 2),
        (r"\{x : x > 3\}", "()", 2), ("1:2", "ratio", 2), ("f(2) < f(1) < f(4)", "chain", 3),
        (r"\begin{pmatrix} 1 \\ 2 \\ 3 \end{pmatrix}", "()", 3),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "matrix", 4),
        (r"\text{A, C}", "list", 2), (r"\emptyset", "list", 0), (r"\langle 1, 2 \rangle", "()", 2),
        ("[1, 2, 3]", "[]", 3),
    ],
)  # fmt: skip
def test_parts(answer: str, kind: str, parts: int) -> None:
    shape = read_shape(answer)
    assert isinstance(shape, Group)
    assert (shape.kind, len(shape.parts)) == (kind, parts)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (r"\text{Evelyn}", "evelyn"), ("Evelyn", "evelyn"), (r"\text{June 20}", "june20"), ("25_{6}", "25_6"),
        ("-221_3", "-221_3"),
        ("9 a.m.", "9:00am"), (r"\text{4:30 p.m.}", "4:30pm"), ("two lines", "twolines"),
    ],
)  # fmt: skip
def test_plain_words(answer: str, text: str) -> None:
    assert read_shape(answer) == Words(text)


@pytest.mark.parametrize(
    "answer", ["1,000", r"\$1,234.50", r"10{,}000", "(4x-7)", r"\{5\}", "2x+1", r"\frac12\text{ inch}"]
)
def test_one_quantity(answer: str) -> None:
    assert isinstance(read_shape(answer), Quantity)


def test_equations_know_what_they_name() -> None:
    for answer, name in (("x=3", "x"), ("f(x) = 2x", "f()"), ("2x=4", ""), ("y' = 3", "y'")):
        shape = read_shape(answer)
        assert isinstance(shape, Equation)
        assert shape.name == name


@pytest.mark.parametrize(
    "answer",
    ["", "=", "x =", "(", "1,(2", r"\begin{pmatrix} 1 & 2 \\ 3 \end{pmatrix}", r"\int x dx", "(" * 400 + ")" * 400],
)
def test_what_is_not_known_is_refused(answer: str) -> None:
    with pytest.raises(Unread):
        read_shape(answer)


@given(st.text(alphabet="\\text{}frac12,()[]=<>:|and or x.$^_&"), st.text(max_size=5))
def test_any_text_is_read_or_refused(text: str, more: str) -> None:
    with contextlib.suppress(Unread):
        assert isinstance(read_shape(text + more), Words | Quantity | Equation | Group)
