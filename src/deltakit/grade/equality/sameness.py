"""Are two answers the same by structure: part by part where they have parts, by value where they are expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from deltakit.grade.equality.reading import read_shape
from deltakit.grade.equality.shapes import Equation, Group, Quantity, Shape, Words
from deltakit.grade.equality.terms import Call, Term, Unread
from deltakit.grade.equality.units import agree
from deltakit.grade.equality.values import proportional, same_value, symbols

__all__ = ["Judged", "same_shape", "shape_of"]


@dataclass(frozen=True)
class Judged:
    """The same (True), not (False), or not settled (None), and why in a few words."""

    same: bool | None
    why: str


UNSETTLED = Judged(None, "not settled by structure")


def _quantities(one: Quantity, other: Quantity) -> Judged:
    if not agree(one.unit, other.unit):
        return Judged(False, f"units differ: {one.unit} and {other.unit}")
    same = same_value(one.term, other.term)
    return Judged(same, {True: "equal in value", False: "values differ", None: "not settled by value"}[same])


def _ordered(ones: Sequence[Shape], others: Sequence[Shape]) -> Judged:
    judged = [_compared(a, b) for a, b in zip(ones, others, strict=True)]
    for at, verdict in enumerate(judged, 1):
        if verdict.same is False:
            return Judged(False, f"part {at}: {verdict.why}")
    return UNSETTLED if any(v.same is None for v in judged) else Judged(True, "equal part by part")


def _unordered(ones: Sequence[Shape], others: Sequence[Shape]) -> Judged:
    """Each part of one is taken by a part of the other; parts that nothing settles leave the whole unsettled."""
    left = list(others)
    doubtful = False
    for part in ones:
        verdicts = [_compared(part, candidate).same for candidate in left]
        if True in verdicts:
            left.pop(verdicts.index(True))
        elif None in verdicts:
            doubtful = True
        else:
            return Judged(False, "a part of one is not in the other")
    return UNSETTLED if doubtful else Judged(True, "equal in some order")


def _groups(one: Group, other: Group) -> Judged:
    if one.kind != other.kind or one.marks != other.marks:
        return Judged(False, f"differ in kind: {_called(one)} and {_called(other)}")
    if len(one.parts) != len(other.parts):
        return Judged(False, f"{len(one.parts)} and {len(other.parts)} parts")
    return (_unordered if one.kind in ("list", "union") else _ordered)(one.parts, other.parts)


def _zero(equation: Equation) -> Term | None:
    """left - right, where the right side is an expression."""
    if not isinstance(equation.right, Quantity):
        return None
    return Call("+", (equation.left, Call("neg", (equation.right.term,))))


def _equations(one: Equation, other: Equation) -> Judged:
    """By what is named, where both name the same; else as equations, which a constant factor does not change."""
    if one.name and one.name == other.name:
        return _compared(one.right, other.right)
    ones, others = _zero(one), _zero(other)
    if ones is None or others is None:
        return UNSETTLED
    if not symbols(ones) and not symbols(others):  # two sums worked out: each side counts
        return _ordered((Quantity(one.left), one.right), (Quantity(other.left), other.right))
    same = proportional(ones, others)
    return Judged(same, {True: "the same equation", False: "different equations", None: "not settled by value"}[same])


def _called(shape: Shape) -> str:
    if isinstance(shape, Group):
        return {"list": "a list", "union": "a union", "ratio": "a ratio", "matrix": "a matrix", "chain": "relations",
                "()": "(...)", "[]": "[...]", "(]": "(...]", "[)": "[...)"}[shape.kind]  # fmt: skip
    return {Words: "words", Quantity: "an expression", Equation: "an equation"}[type(shape)]


def _compared(one: Shape, other: Shape) -> Judged:
    if isinstance(one, Quantity) and isinstance(other, Quantity):
        return _quantities(one, other)
    if isinstance(one, Group) and isinstance(other, Group):
        return _groups(one, other)
    if isinstance(one, Equation) and isinstance(other, Equation):
        return _equations(one, other)
    if isinstance(one, Words) and isinstance(other, Words):
        return Judged(one == other, "the same words" if one == other else "different words")
    for spoken, bare in ((one, other), (other, one)):
        if isinstance(spoken, Words) and isinstance(bare, Quantity) and bare.letters == spoken.text:
            return Judged(True, "the same words")
    for equation, bare in ((one, other), (other, one)):
        if isinstance(equation, Equation) and equation.name:
            return _compared(equation.right, bare)
    return Judged(False, f"differ in kind: {_called(one)} and {_called(other)}")


@lru_cache(maxsize=1 << 14)
def shape_of(answer: str) -> Shape | None:
    """The shape of an answer, or None where it cannot be read."""
    try:
        return read_shape(answer)
    except (Unread, RecursionError):
        return None


def same_shape(answer: str, gold: str) -> Judged:
    """Are the two the same by structure and value? Not settled where one of them cannot be read."""
    one, other = shape_of(answer), shape_of(gold)
    try:
        return UNSETTLED if one is None or other is None else _compared(one, other)
    except RecursionError:  # hundreds of terms, each inside the last
        return UNSETTLED
