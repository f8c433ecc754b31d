r"""Answers taken apart: what kind of thing one is, and what it is made of.

`read_shape` takes an answer apart down to expressions (`terms`) and words. Two spellings of one thing get one shape:
"x \in (1,2)", "1 < x < 2" and "(1,2)"; "1 \pm \sqrt{2}" and a list of both; "\{1,2\}", "1 and 2" and "x=1, x=2".
"""

from __future__ import annotations

import re
from fractions import Fraction

from deltakit.grade.equality.latex import LETTERS, balanced, splits, tidy, words
from deltakit.grade.equality.shapes import Equation, Group, Kind, Quantity, Shape, Words
from deltakit.grade.equality.terms import FUNCTIONS, LONGEST, Number, Unread, read_term
from deltakit.grade.equality.units import split_unit
from deltakit.grade.numbers import parse_number

__all__ = ["read_shape"]

_UNION = re.compile(r"\\cup(?![a-zA-Z])")
_AND = re.compile(
    r"[,;]|\s*\\(?:text|textnormal|mbox)\s*\{\s*,?\s*(?:and|or)\s*\}\s*|(?<=[\s\d)}])(?:and|or)(?=[\s\d\-\\({])"
)
_RELATION = re.compile(r"\\(?:le|ge|ne|in)(?![a-zA-Z])|<=|>=|<|>|=")
_EQUALS = {"<=": r"\le", ">=": r"\ge"}
_MATRIX = re.compile(
    r"\A\\begin\{([pbvB]?)(?:small)?matrix\}(.*)\\end\{\1(?:small)?matrix\}\Z|\A\\begin\{array\}\{[^}]*\}(.*)\\end\{array\}\Z"
)
_ROWS = re.compile(r"\\\\(?:\s*\[[^\]]*\])?")
_BASE = re.compile(r"\A(-?[0-9A-Z.]+)\s*_\s*\{?(\d+|\\text\{[a-z]+\}|[a-z]{3,})\}?\Z")
_GROUPED = re.compile(r"\A-?\s*\d{1,3}(?:,\d{3})+(?:\.\d+)?\b(?!\s*,)")
_NAME = re.compile(r"\A\\?[a-zA-Z]+(?:_\{?\w+\}?)?'?(?:\([a-z](?:,\s*[a-z])*\))?\Z")
_INTERVALS = ("()", "[]", "(]", "[)")
_TIME = re.compile(r"\A(\d{1,2})(?::(\d\d))?\s*([ap])\.?m\.?\Z", re.IGNORECASE)
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_SPOKEN = re.compile(r"\\(?:text|textnormal|mbox|textbf|mathrm)\s*\{([^{}]*)\}")


def _words(text: str) -> Words | None:
    r"""Words where the answer holds some in \text, or letters that are no product of variables."""
    opened = words(text)
    bare = re.sub(r"[\s{}.]", "", opened).strip("()")
    return Words(bare.lower()) if re.search(r"[^\W\d_]", bare) and not re.search(r"[=<>\\^]", bare) else None


def _spoken(text: str) -> bool:
    r"""Does an expression hold words: two letters in \text, or four in a row that name no function?"""
    return any(len(LETTERS.findall(part)[0]) > 1 for part in _SPOKEN.findall(text) if LETTERS.search(part)) or any(
        len(run) > 3 and run not in (*FUNCTIONS, "sqrt", "infty") for run in LETTERS.findall(_COMMAND.sub(" ", text))
    )


def _time(text: str) -> Words | None:
    """A time of day: 9 a.m. and 9:00 AM are the same."""
    found = _TIME.match(words(text).strip())
    return Words(f"{int(found.group(1))}:{found.group(2) or '00'}{found.group(3).lower()}m") if found else None


def _list(text: str) -> Group | None:
    """Several answers beside each other, not in brackets; 1,000 is one number."""
    bare = split_unit(text)[0]
    if _GROUPED.match(bare) and parse_number(bare) is not None:
        return None
    parts = [part.strip() for part in splits(text, _AND)]
    parts = [part for part in parts if part]
    if len(parts) < 2:
        return None
    shapes = [_shape(part) for part in parts]
    if all(isinstance(s, Group) and s.kind in _INTERVALS and _marks(p) for s, p in zip(shapes, parts, strict=True)):
        return Group("union", tuple(shapes))
    return _flat(shapes)


def _flat(parts: list[Shape]) -> Group:
    """A list of lists (1 \\pm 2, 3) is one list; "x=1, x=2" lists the values."""
    out: list[Shape] = []
    names = {part.name for part in parts if isinstance(part, Equation)}
    for part in parts:
        if isinstance(part, Group) and part.kind == "list":
            out += part.parts
        elif isinstance(part, Equation) and part.name and len(names) == 1:
            out.append(part.right)
        else:
            out.append(part)
    return Group("list", tuple(out))


def _signs(text: str) -> Group | None:
    r"""1 \pm 2 as the list of 3 and -1."""
    if r"\pm" not in text and r"\mp" not in text:
        return None
    both = (text.replace(r"\pm", a).replace(r"\mp", b) for a, b in (("+", "-"), ("-", "+")))
    return _flat([_shape(one) for one in both])


def _matrix(text: str) -> Group | None:
    """A matrix; one of a single column is a vector, written as a tuple."""
    found = _MATRIX.match(text)
    if found is None:
        return None
    body = (found.group(2) or found.group(3) or "").strip()
    rows = [row.split("&") for row in _ROWS.split(body) if row.strip()]
    cells = tuple(_shape(cell.strip()) for row in rows for cell in row)
    if len({len(row) for row in rows}) != 1:
        raise Unread("rows of different lengths")
    return Group("()", cells) if len(rows[0]) == 1 and len(rows) > 1 else Group("matrix", cells, (str(len(rows[0])),))


def _bracketed(text: str) -> Shape | None:
    r"""What stands in one pair of brackets: a tuple or interval, a set, or one thing."""
    for opening, closing in ((r"\{", r"\}"), ("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"), ("{", "}")):
        inner = text[len(opening) : -len(closing)]
        if text.startswith(opening) and text.endswith(closing) and len(text) > 1 and balanced(inner):
            break
    else:
        return None
    pair = opening + closing
    if opening in ("{", r"\{"):
        return _set(inner)
    parts = [part.strip() for part in splits(inner, re.compile(",|;"))]
    if len(parts) == 1:
        return _shape(inner) if pair in ("()", "[]") else None
    kind: dict[str, Kind] = {"()": "()", "[]": "[]", "(]": "(]", "[)": "[)"}
    return Group(kind[pair], tuple(_shape(part) for part in parts))


def _set(inner: str) -> Shape:
    if not inner.strip():
        return Group("list", ())
    builder = splits(inner, re.compile(r"\||:"))
    if len(builder) == 2 and _NAME.match(builder[0].strip()):
        return _shape(builder[1])
    parts = _flat([_shape(part) for part in splits(inner, re.compile(",|;"))])
    return parts.parts[0] if len(parts.parts) == 1 else parts


def _related(text: str) -> Shape | None:
    """Sides with =, <, ... between: an equation, an interval (where one letter is bounded), else a chain."""
    sides = [side.strip() for side in splits(text, _RELATION)]
    if len(sides) == 1:
        return None
    marks = [_EQUALS.get(mark, mark) for mark in _marks(text)]
    if not all(sides) or len(marks) != len(sides) - 1:
        raise Unread("a relation without a side")
    if len(sides) == 2 and marks[0] == r"\in":
        return _shape(sides[1])
    if len(sides) == 2 and marks[0] == "=":
        right = _shape(sides[1])
        name = sides[0].replace(" ", "") if _NAME.match(sides[0].replace(" ", "")) else ""
        return Equation(read_term(re.sub(r"'", "", sides[0])), right, re.sub(r"\(.*", "()", name))
    return _bounded(sides, marks) or Group("chain", tuple(_shape(side) for side in sides), tuple(marks))


def _marks(text: str) -> list[str]:
    """The relations outside brackets, in order."""
    found, depth, at = [], 0, 0
    while at < len(text):
        mark = _RELATION.match(text, at) if depth == 0 else None
        if mark:
            found.append(mark.group())
            at = mark.end()
            continue
        depth += (text[at] in "([{") - (text[at] in ")]}")
        at += 1
    return found


def _bounded(sides: list[str], marks: list[str]) -> Group | None:
    """a < x <= b, x > a, a >= x, ... as the interval."""
    strict = {"<": False, r"\le": True, ">": False, r"\ge": True}
    downward = all(mark in (">", r"\ge") for mark in marks)
    if not (downward or all(mark in ("<", r"\le") for mark in marks)):
        return None
    if downward:
        sides, marks = sides[::-1], [{">": "<", r"\ge": r"\le"}[mark] for mark in marks[::-1]]
    letter = re.compile(r"[a-zA-Z]\Z")
    if len(sides) == 3 and letter.match(sides[1]):
        low, high, closed = sides[0], sides[2], (strict[marks[0]], strict[marks[1]])
    elif len(sides) == 2 and letter.match(sides[0]) and not letter.match(sides[1]):
        low, high, closed = r"-\infty", sides[1], (False, strict[marks[0]])
    elif len(sides) == 2 and letter.match(sides[1]) and not letter.match(sides[0]):
        low, high, closed = sides[0], r"\infty", (strict[marks[0]], False)
    else:
        return None
    kinds: dict[tuple[bool, bool], Kind] = {
        (False, False): "()",
        (False, True): "(]",
        (True, False): "[)",
        (True, True): "[]",
    }
    return Group(kinds[closed], (_shape(low), _shape(high)))


def _ratio(text: str) -> Group | None:
    parts = splits(text, re.compile(":"))
    return (
        Group("ratio", tuple(_shape(part) for part in parts)) if len(parts) > 1 and all(map(str.strip, parts)) else None
    )


def _based(text: str) -> Words | None:
    """A number in another base: its digits and base, as they stand."""
    found = _BASE.match(text)
    if found is None:
        return None
    digits = re.sub(r"\A(-?)0+(?=[0-9A-Z])", r"\1", found.group(1))
    base = re.sub(r"[^a-z0-9]", "", words(found.group(2)))
    return Words(f"{digits}_{base}")


def _quantity(text: str) -> Quantity:
    bare, unit = split_unit(text)
    bare, inner = (bare, "") if unit else split_unit(bare)
    if _spoken(bare):
        raise Unread("words")
    number = parse_number(bare)
    opened = words(bare).strip()
    term = Number(number) if isinstance(number, Fraction) else read_term(opened)
    return Quantity(term, unit or inner, opened.lower() if opened.isalpha() else "")


def _shape(text: str) -> Shape:
    text = text.strip()
    if not text:
        raise Unread("nothing")
    for reader in (_matrix, _based, _time):
        found = reader(text)
        if found is not None:
            return found
    parts = splits(text, _UNION)
    if len(parts) > 1:
        return Group("union", tuple(_shape(part) for part in parts))
    for read in (_list, _related, _bracketed, _signs):
        shape = read(text)
        if shape is not None:
            return shape
    try:
        return _quantity(text)
    except Unread:
        plain = _words(text) or _ratio(text)
        if plain is None:
            raise
        return plain


def _listed(found: re.Match[str]) -> str:
    r"""\text{A, B} as \text{A},\text{B}: its commas part a list."""
    return (
        ",".join(rf"\text{{{part}}}" for part in found.group(1).split(","))
        if found.group(1).strip(", ")
        else found.group()
    )


def read_shape(answer: str) -> Shape:
    """The shape of an answer; Unread where it holds something unknown."""
    if len(answer) > LONGEST:
        raise Unread("too long")
    try:
        return _shape(_SPOKEN.sub(_listed, tidy(answer)))
    except RecursionError as error:
        raise Unread("brackets too deep") from error
