from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.grade.equality.terms import Call, Number, Symbol, Unread, read_term


def number(top: int, bottom: int = 1) -> Number:
    return Number(Fraction(top, bottom))


X = Symbol("x")


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("2", number(2)), (".5", number(1, 2)), ("-2", Call("neg", (number(2),))), ("x", X), ("x_1", Symbol("x_1")),
        ("2x", Call("*", (number(2), X))), (r"\frac12", Call("/", (number(1), number(2)))),
        (r"\frac 1{72}", Call("/", (number(1), number(72)))), (r"\sqrt5", Call("sqrt", (number(5),))),
        ("3 1/8", number(25, 8)), (r"3\frac{1}{8}", Call("+", (number(3), Call("/", (number(1), number(8)))))),
        (r"2\frac{\pi}{3}", Call("*", (number(2), Call("/", (Symbol("\\pi"), number(3)))))),
        ("x^2", Call("^", (X, number(2)))), ("2^-3", Call("^", (number(2), Call("neg", (number(3),))))),
        (r"\sin 3x", Call("sin", (Call("*", (number(3), X)),))), (r"\sin^{-1} x", Call("arcsin", (X,))),
        (r"\log_2 8", Call("log", (number(8), number(2)))), ("|x|", Call("abs", (X,))), ("5!", Call("!", (number(5),))),
        (r"\binom{5}{2}", Call("binom", (number(5), number(2)))), ("sqrt(5)", Call("sqrt", (number(5),))),
        (r"13^\circ", Call("deg", (number(13),))), ("{(x)}", X),
    ],
)  # fmt: skip
def test_it_reads(text: str, term: object) -> None:
    assert read_term(text) == term


def test_products_stop_at_signs_and_functions() -> None:
    assert read_term(r"\sin x \cos x") == Call("*", (Call("sin", (X,)), Call("cos", (X,))))
    assert read_term(r"\sin x + 1") == Call("+", (Call("sin", (X,)), number(1)))


@pytest.mark.parametrize(
    "text", ["", "+", "2 3", "(1", "1)", r"\frac{1}", r"\unknown{2}", "a = b", "1,2", "x^", r"\sqrt", "٣", "8_9", "é",
             "(" * 100 + "1" + ")" * 100, "1" * 2000],
)  # fmt: skip
def test_what_it_does_not_know_it_refuses(text: str) -> None:
    with pytest.raises(Unread):
        read_term(text)


@given(st.text(alphabet=r"\frac{}sqrt()[]|!^_+-*/12x. pi"))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Unread):
        assert isinstance(read_term(text), Number | Symbol | Call)
