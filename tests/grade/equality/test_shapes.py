from __future__ import annotations

from fractions import Fraction

from deltakit.grade.equality.shapes import Equation, Group, Quantity, Words
from deltakit.grade.equality.terms import Number, Symbol


def test_shapes_are_values() -> None:
    one, two = Quantity(Number(Fraction(1))), Quantity(Number(Fraction(2)), "meter")
    assert Group("()", (one, two)) == Group("()", (one, two))
    assert Group("()", (one, two)) != Group("[]", (one, two))
    assert len({one, two, Words("a"), Words("a"), Equation(Symbol("x"), one, "x")}) == 4
