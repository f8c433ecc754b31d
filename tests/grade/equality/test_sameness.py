from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit.grade.equality.sameness import same_shape, shape_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,2", "2 and 1"), (r"\{1,2\}", "2,1"), ("x=1, x=2", "2,1"), (r"1\pm\sqrt2", r"1-\sqrt2, 1+\sqrt 2"),
        ("(1, 2)", "(1,2)"), (r"(\frac12, 3)", "(0.5, 3)"), (r"x\in[-2,7]", r"-2\le x\le 7"), ("x>3", r"(3,\infty)"),
        (r"(-\infty,0)\cup(0,\infty)", r"(0,\infty) \cup (-\infty,0)"), (r"(-\infty,0)\cup(3,\infty)", "x<0 or x>3"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"),
        (r"\begin{bmatrix}1&0\\0&1\end{bmatrix}", r"\begin{pmatrix}1&0\\0&1\end{pmatrix}"),
        ("y=2x+3", "2x-y+3=0"), ("y=2x+3", "2x+3"), ("4x-5y=-50", "8x - 10y = -100"), ("f(x)=x+1", "x+1"),
        ("12 cm", "12"), (r"12\text{ cm}^2", "12 square centimeters"), ("$5", "5 dollars"), ("5 m", "5 meters"),
        (r"\text{Evelyn}", "evelyn"), ("(A)", r"\text{(A)}"), (r"\text{ACF}", "ACF"), ("A, B", r"\text{B, A}"),
        ("9 AM", "9:00 a.m."),
        ("3.75", r"3\frac34"), (r"45^\circ", "45 degrees"), (r"10\%", "10"), ("90 degrees", "90"),
        ("0.3 = 30/100", "0.3=0.3"),
    ],
)  # fmt: skip
def test_the_same(one: str, other: str) -> None:
    assert same_shape(one, other).same is True
    assert same_shape(other, one).same is True


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("12 cm", "12 m", "units differ"), ("12 cm", r"12\text{ cm}^2", "units differ"),
        ("9 a.m.", "9 p.m.", "different words"),
        ("(1,2)", "(2,1)", "part 1"), ("(1,2)", "[1,2]", "kind"), ("1,2", "1,2,3", "parts"),
        ("1,1,2", "1,2,2", "not in the other"),
        ("1,2", "(1,2)", "kind"), ("x=3", "y=3", "different equations"), ("25_6", "25_7", "different words"),
        ("25_6", "25", "kind"),
        (r"\text{east}", r"\text{west}", "different words"), ("1 m", "100 cm", "units"), (r"40\%", "0.4", "values"),
        ("5 cents", r"\$0.05", "units"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\4&3\end{pmatrix}", "part 3"),
        ("1.56 = 56", "0.56 = 56", "part 1"),
        (r"\begin{pmatrix} 1 & \phantom -1 \end{pmatrix}", r"\begin{pmatrix} 2 & 1 \end{pmatrix}", "part 1"),
        ("2x=4", "2x=5", "equations"),
    ],
)  # fmt: skip
def test_different_and_why(one: str, other: str, why: str) -> None:
    forth, back = same_shape(one, other), same_shape(other, one)
    assert (forth.same, back.same) == (False, False)
    assert why in forth.why


def test_what_cannot_be_read_is_left_to_others() -> None:
    assert same_shape(r"\int x", "3").same is None
    assert same_shape(r"(1, 10^{10^{10^{10}}})", "(1, 3)").same is None
    assert same_shape(r"(2, 10^{10^{10^{10}}})", "(1, 3)").same is False, "one part that differs is enough"
    assert shape_of("x" * 3000) is None


@pytest.mark.parametrize(
    "text", ["-" * 900, "x+" * 450 + "x", "x^{99}" * 150, "2^{9999}" * 120, "(" * 300 + "1" + ")" * 300]
)
def test_the_longest_answers_take_no_time(text: str) -> None:
    start = time.process_time()
    assert same_shape(text, "x+1").same is not True
    assert time.process_time() - start < 5


NUMBER = st.fractions(max_denominator=20).map(
    lambda v: rf"\frac{{{v.numerator}}}{{{v.denominator}}}" if v.denominator > 1 else str(v)
)
SCALAR = st.one_of(NUMBER, NUMBER.map(r"{}\sqrt{{3}}".format), NUMBER.map(r"{}\pi".format), NUMBER.map("x + {}".format))
PAIR = st.tuples(st.sampled_from("(["), SCALAR, SCALAR, st.sampled_from(")]")).map(
    lambda p: f"{p[0]}{p[1]}, {p[2]}{p[3]}"
)
ANSWER = st.one_of(SCALAR, PAIR, st.lists(SCALAR, min_size=2, max_size=4).map(", ".join), SCALAR.map("x = {}".format))


@settings(max_examples=60)
@given(ANSWER, ANSWER)
def test_reflexive_and_symmetric(one: str, other: str) -> None:
    assert same_shape(one, one).same is True
    assert same_shape(one, other).same is same_shape(other, one).same


@settings(max_examples=40)
@given(st.lists(SCALAR, min_size=2, max_size=4))
def test_order_matters_in_tuples_alone(parts: list[str]) -> None:
    turned = parts[::-1]
    assert same_shape(", ".join(parts), ", ".join(turned)).same is True
    ordered = same_shape(f"({', '.join(parts)})", f"({', '.join(turned)})").same
    assert ordered is all(same_shape(a, b).same is True for a, b in zip(parts, turned, strict=True))
