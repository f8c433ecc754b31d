from __future__ import annotations

import pytest

from deltakit.grade.equality.latex import tidy
from deltakit.grade.equality.units import agree, split_unit


@pytest.mark.parametrize(
    ("answer", "quantity", "unit"),
    [
        ("12 cm", "12", "centimeter"), (r"12\text{ cm}", "12", "centimeter"), ("12 centimeters", "12", "centimeter"),
        (r"15\mbox{ cm}^2", "15", "centimeter^2"), ("15 square centimeters", "15", "centimeter^2"),
        ("144 m^3", "144", "meter^3"), ("$12", "12", "dollar"), (r"\$12.50", "12.50", "dollar"),
        ("-$5", "-5", "dollar"),
        (r"90^\circ", "90", "degree"), (r"12\%", "12", "percent"), ("5 m", "5", "meter"),
        (r"45\text{ mph}", "45", "mph"),
        (r"\frac{68}{3}\text{ pounds}", r"\frac{68}{3}", "pound"), (r"188\text{ units}", "188", ""),
        (r"18\text{ ways.}", "18", "way"), ("60 miles per hour", "60", "mile / hour"),
    ],
)  # fmt: skip
def test_a_unit_is_named_alike_however_it_is_spelled(answer: str, quantity: str, unit: str) -> None:
    assert split_unit(tidy(answer) if not answer.startswith(("$", "-$")) else answer) == (quantity, unit)


@pytest.mark.parametrize(
    "text",
    ["5m", "2x", "x^2 + a^2", "a^3 + a^2", r"2 \tan x", r"\cos 13^\circ", "xy", "7", r"\text{Evelyn}", "two lines"],
)
def test_variables_functions_and_words_are_no_units(text: str) -> None:
    assert split_unit(text) == (text, "")


def test_units_agree_where_one_is_silent() -> None:
    assert agree("meter", "meter")
    assert agree("meter", "")
    assert not agree("meter", "centimeter")
    assert not agree("meter^2", "meter")


def test_many_letters_take_no_time() -> None:
    text = "1 " + "a" * 1000 + "!"
    assert split_unit(text) == (text, "")
