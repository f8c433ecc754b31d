r"""Where in a completion the answer stands: each extractor is one rule, `marked` tries those that need a mark.

The rules: the last "The answer is: N" (MetaMath; the colon may be missing), the last "#### N" (GSM8K), the last
\boxed{N} (MATH), the last "The value of x is N" (MetaMath's backward questions). `last_number` takes the last number
at all; `marked` does not, since in a text that breaks off the last number is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from deltakit.errors import RecipeError
from deltakit.grade.numbers import first_number, last_number
from deltakit.grade.thinking import strip_thinking
from deltakit.registry import did_you_mean

__all__ = ["EXTRACTORS", "Answer", "Form", "boxed", "extract"]

Form = Literal["number", "math", "text"]  # what a task's answers are: numbers, mathematical expressions, plain text

_PHRASE = re.compile(r"\banswer is\b\s*:?[ \t]*", re.IGNORECASE)
_HASH = re.compile(r"####[ \t]*")
_VALUE = re.compile(r"\bvalue of (?:the )?(?:unknown )?(?:variable )?\$?[a-zA-Z]\$? is\b\s*:?[ \t]*", re.IGNORECASE)
_OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_OLD_BOX = re.compile(r"\\boxed\s+([^\s${}]+)")


@dataclass(frozen=True)
class Answer:
    """An answer as written, and the rule that found it."""

    text: str
    how: str


def boxed(text: str) -> str | None:
    r"""What the last closed \boxed{...} (or \fbox{...}) holds, braces balanced; else the word after a bare \boxed."""
    for opening in reversed(list(_OPEN_BOX.finditer(text))):
        depth = 1
        for at in range(opening.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            if depth == 0:
                return text[opening.end() : at]
    old = _OLD_BOX.findall(text)
    return old[-1] if old else None


def _line_after(pattern: re.Pattern[str], completion: str) -> str | None:
    """The rest of the line after the last match (the next line that is not blank, if the match ends its own)."""
    ends = [m.end() for m in pattern.finditer(completion)]
    lines = completion[ends[-1] :].strip().splitlines() if ends else []
    return lines[0].strip() if lines else None


def _trimmed(line: str, form: Form) -> str | None:
    r"""The answer in the rest of a line: its first number, or the expression without a full stop, $ and \boxed."""
    if form == "number":
        return first_number(line)
    inner = boxed(line)
    return (inner if inner is not None else line.rstrip(".").strip().strip("$").strip()) or None


def _after(pattern: re.Pattern[str]) -> Callable[[str, Form], str | None]:
    def rule(completion: str, form: Form) -> str | None:
        line = _line_after(pattern, completion)
        return None if line is None else _trimmed(line, form)

    return rule


def _box(completion: str, form: Form) -> str | None:
    inside = boxed(completion)
    if inside is None:
        return None
    return first_number(inside) if form == "number" and "\\" not in inside else inside.strip() or None


def _number(completion: str, form: Form) -> str | None:
    return last_number(completion)


def _whole(completion: str, form: Form) -> str | None:
    return completion.strip() or None


EXTRACTORS: dict[str, Callable[[str, Form], str | None]] = {
    "phrase": _after(_PHRASE),
    "hash": _after(_HASH),
    "boxed": _box,
    "value": _after(_VALUE),
    "last_number": _number,
    "text": _whole,
}
_MARKED: dict[Form, tuple[str, ...]] = {
    "number": ("phrase", "hash", "boxed", "value"),
    "math": ("boxed", "phrase", "hash"),
    "text": ("text",),
}


def extract(completion: str, how: str = "marked", form: Form = "number") -> Answer | None:
    """The answer of a completion by one rule, or by the first that finds one of the form's marks; None if none does.

    It is looked for outside the completion's thoughts only (`deltakit.grade.thinking`).
    """
    if how != "marked" and how not in EXTRACTORS:
        raise RecipeError(f"unknown extractor {how!r}", remedy=did_you_mean(how, ["marked", *EXTRACTORS]))
    completion = strip_thinking(completion).text
    for rule in _MARKED[form] if how == "marked" else (how,):
        found = EXTRACTORS[rule](completion, form)
        if found is not None:
            return Answer(found, rule)
    return None
