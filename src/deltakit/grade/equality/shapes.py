r"""The kinds of thing that an answer may be: words, an expression with a unit, an equation, or parts of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deltakit.grade.equality.terms import Term

__all__ = ["Equation", "Group", "Kind", "Quantity", "Shape", "Words"]

Kind = Literal["list", "union", "()", "[]", "(]", "[)", "matrix", "ratio", "chain"]


@dataclass(frozen=True)
class Words:
    """Plain words, in lower case without spaces and brackets around; a single letter keeps its case."""

    text: str


@dataclass(frozen=True)
class Quantity:
    """An expression and its unit ("" if none is named); `letters`: the whole in lower case, if it is letters alone."""

    term: Term
    unit: str = ""
    letters: str = ""


@dataclass(frozen=True)
class Equation:
    """left = right; `named`: the left side is one name, so that the right side is what was asked for."""

    left: Term
    right: Shape
    name: str = ""


@dataclass(frozen=True)
class Group:
    """Parts, in order except in a "list" (of roots, or a set) and a "union".

    `marks`: the relations of a chain, the width of a matrix.
    """

    kind: Kind
    parts: tuple[Shape, ...]
    marks: tuple[str, ...] = ()


Shape = Words | Quantity | Equation | Group
