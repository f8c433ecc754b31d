"""Is an answer the gold one? The cheap and certain tests first; what they leave open is for algebra (`algebra`)."""

from __future__ import annotations

from fractions import Fraction

from deltakit.grade.answers import Form
from deltakit.grade.equality.sameness import Judged, same_shape, shape_of
from deltakit.grade.equality.shapes import Equation, Quantity
from deltakit.grade.equality.strings import same_string
from deltakit.grade.equality.units import agree
from deltakit.grade.numbers import parse_number

__all__ = ["judge", "same_exactly"]

SHOWN = 60  # characters of an answer that an explanation quotes


def _quoted(text: str) -> str:
    bare = " ".join(text.split())
    return bare if len(bare) <= SHOWN else bare[: SHOWN - 3] + "..."


def _differs(answer: str, gold: str) -> Judged:
    return Judged(False, f"differs: {_quoted(answer)} vs {_quoted(gold)}")


def _text(answer: str, gold: str) -> Judged:
    return Judged(True, "the same text") if answer.strip() == gold.strip() else _differs(answer, gold)


def _numbers(answer: str, gold: str, one: Fraction, other: Fraction) -> Judged:
    if one != other:
        return _differs(answer, gold)
    if answer.strip() == gold.strip():
        return Judged(True, f"the same number {_quoted(gold)}")
    return Judged(True, f"{_quoted(answer)} = {_quoted(gold)} as {'numbers' if one.denominator == 1 else 'fractions'}")


def _contradicted(answer: str, gold: str) -> str:
    """What both answers name, each differently, and the MATH benchmark's clean-up of strings would drop; else ""."""
    one, other = shape_of(answer), shape_of(gold)
    if isinstance(one, Quantity) and isinstance(other, Quantity) and not agree(one.unit, other.unit):
        return f"units differ: {one.unit} vs {other.unit}"
    if isinstance(one, Equation) and isinstance(other, Equation) and one.name and other.name != one.name and other.name:
        return f"names differ: {one.name} vs {other.name}"
    return ""


def judge(answer: str, gold: str, form: Form, *, structure: bool = True) -> Judged:
    """Same, not the same, or (only with `structure`) not settled; with a reason to read.

    The order: exact numbers (never rounded), the MATH benchmark's strings (form "math"; never across two different
    units or names), then with `structure` what kind of thing each answer is, and its parts by value. Text is compared
    as text.
    """
    if form == "text":
        return _text(answer, gold)
    one, other = parse_number(answer), parse_number(gold)
    if one is not None and other is not None:
        unlike = _contradicted(answer, gold) if one == other and form == "math" else ""
        return Judged(False, unlike) if unlike else _numbers(answer, gold, one, other)
    if form == "math":
        unlike = _contradicted(answer, gold)
        if unlike:
            return Judged(False, unlike)
        if same_string(answer, gold):
            return Judged(True, f"{_quoted(answer)} = {_quoted(gold)} as strings")
    if not structure:
        return _differs(answer, gold)
    found = same_shape(answer, gold)
    if found.same is None:
        return found
    return Judged(found.same, f"{_quoted(answer)} {'=' if found.same else 'vs'} {_quoted(gold)}: {found.why}")


def same_exactly(answer: str, gold: str, form: Form) -> bool:
    """Equal as exact numbers (never rounded); where form is "math" also as normalised strings; "text" as text."""
    return judge(answer, gold, form, structure=False).same is True
