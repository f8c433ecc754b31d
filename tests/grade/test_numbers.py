from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.grade.numbers import LONGEST, first_number, last_number, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18), ("-18", -18), ("+18", 18), ("−18", -18), (" 18 ", 18), ("18.00", 18), (".5", Fraction(1, 2)),
        ("17.6", Fraction(88, 5)), ("1,450,000", 1450000), ("1,234.5", Fraction(2469, 2)), ("$1,000", 1000),
        (r"\$5", 5), ("-$5", -5), ("3/4", Fraction(3, 4)), ("-3/4", Fraction(-3, 4)), ("1e3", 1000),
        ("2.5e-1", Fraction(1, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)), (r"-\dfrac{3}{4}", Fraction(-3, 4)), (r"\frac34", Fraction(3, 4)),
        (r"\frac3{14}", Fraction(3, 14)), (r"\tfrac{31}4", Fraction(31, 4)), (r"10,\!000", 10000), (r"\(7\)", 7),
        ("12%", 12), (r"12\%", 12),
    ],
)  # fmt: skip
def test_one_number_has_its_exact_value(text: str, value: Fraction | int) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "12 cm", "3 1/2", "1 2", "1,23", "1,2345", "(1,2)", "1.2.3", "1/0", r"\frac{1}{0}", r"\frac{x}{2}", "- 5",
     "5-3", "1e", "1e99999", "٣", "½", "inf", "nan", "0x10", "1_000", "9" * (LONGEST + 1)],
)  # fmt: skip
def test_what_is_not_one_number_has_none(text: str) -> None:
    assert parse_number(text) is None


@given(st.fractions())
def test_fractions_survive(value: Fraction) -> None:
    assert parse_number(f"{value.numerator}/{value.denominator}") == value


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**6 - 1))
def test_digit_groups_and_decimals_are_read_exactly(whole: int, millionths: int) -> None:
    sign = -1 if whole < 0 else 1
    assert parse_number(f"{whole:,}.{millionths:06d}") == whole + sign * Fraction(millionths, 10**6)


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    assert parse_number(text) is None or isinstance(parse_number(text), Fraction)
    assert (first_number(text) is None) == (last_number(text) is None)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("He pays $1,200.50 for 3.", "1,200.50", "3"),
        ("10-5=5", "10", "5"),
        ("x=-5 or -7.", "-5", "-7"),
        ("from -$5 on", "-5", "-5"),
        ("about 3/4 of it", "3/4", "3/4"),
        ("no numbers", None, None),
    ],
)
def test_numbers_are_found_as_written(text: str, first: str | None, last: str | None) -> None:
    assert (first_number(text), last_number(text)) == (first, last)
