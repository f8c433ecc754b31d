from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.grade.equality.terms import read_term
from deltakit.grade.equality.values import proportional, same_value, symbols


def same(one: str, other: str) -> bool | None:
    forth, back = (same_value(read_term(a), read_term(b)) for a, b in ((one, other), (other, one)))
    assert forth is back
    return forth


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"), (r"\sqrt{8}", r"2\sqrt2"), (r"\pi/2", r"\frac{\pi}{2}"),
        ("(x+1)^2", "x^2+2x+1"), (r"e^{i\pi}", "-1"), (r"\cos 13^\circ", r"\sin 77^\circ"), (r"\log_2 8", "3"),
        (r"\sqrt[3]{-8}", "-2"), (r"\sqrt{-4}", "2i"), ("7z^{96}(4z+1)", "28z^{97}+7z^{96}"),
        (r"\sqrt{x-2}", r"\sqrt{-2+x}"),
        ("2^{2005}", "2*2^{2004}"), ("5!", "120"), (r"\binom{6}{2}", "15"), (r"\frac{1}{x}+\frac1y", r"\frac{x+y}{xy}"),
        ("(-1)^{1000000}", "1"), ("0^{1/2}", "0"), (r"\sin^2 x + \cos^2 x", "1"), (r"\sqrt{20201}", r"\sqrt{20201}"),
        (r"\ln(e^2)", "2"), (r"\frac{2}{3}\pi", r"\frac{2\pi}{3}"), ("|-3|", "3"), (r"\arctan 1", r"\frac{\pi}{4}"),
    ],
)  # fmt: skip
def test_equal(one: str, other: str) -> None:
    assert same(one, other) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2^{2005}", "2^{2005}+1"), ("x+1", "x-1"), ("x", "y"), ("|x|", "x"), (r"\sqrt{2}", "1.41421356237309504880"),
        (r"\pi", "22/7"), ("2", "-2"), ("i", "-i"), (r"\sin 1", r"\sin 1^\circ"), ("x^2", "x^3"), ("0", "0.0000000001"),
    ],
)  # fmt: skip
def test_different(one: str, other: str) -> None:
    assert same(one, other) is False


@pytest.mark.parametrize(
    "text", ["10^{10^{10^{10}}}", "(2.5^{99999})^{99999}", "1/0", "0^0", "(10000!)!", r"\ln 0", "2500!^{2500}"]
)
def test_what_has_no_usable_value_settles_nothing_and_takes_no_time(text: str) -> None:
    start = time.process_time()
    assert same(text, "3") is not True
    assert same_value(read_term(text), read_term(text)) in (None, True)
    assert time.process_time() - start < 5


def test_towers_of_functions_end() -> None:
    start = time.process_time()
    for text in (r"\exp(\exp(\exp(\exp(9))))", r"\sin(10^{9000})", r"\cosh(\cosh(\cosh(99)))", r"e^{e^{e^{e^9}}}"):
        assert same_value(read_term(text), read_term("3")) is not True
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [("2x-4", "x-2", True), ("x-2", "2-x", True), ("x-2", "x-3", False), ("x", "x^2", False), ("x-2", "y-2", False)],
)
def test_proportional(one: str, other: str, verdict: bool) -> None:
    assert proportional(read_term(one), read_term(other)) is verdict


def test_symbols_leaves_constants_out() -> None:
    assert symbols(read_term(r"e^{i\pi} + x_1 y")) == {"x_1", "y"}


NUMBERS = st.fractions(max_denominator=50).filter(lambda v: v != 0 and abs(v) < 10**6)


@given(NUMBERS, NUMBERS)
def test_fractions_are_compared_exactly(a: object, b: object) -> None:
    assert same(f"({a})", f"({b})") is (a == b)


@given(NUMBERS, st.sampled_from(["{}", r"{}\sqrt{{2}}", r"{}\pi", "{}x", r"\sqrt{{3}}+{}x"]))
def test_a_thing_equals_itself_and_never_its_negation(value: object, form: str) -> None:
    text = form.format(f"({value})")
    assert same(text, text) is True
    assert same(text, f"-({text})") is False
