"""Fenced blocks of a text: programs that a model wrote between ``` marks, and what stood in them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

__all__ = ["Block", "fenced", "is_python", "program_in"]

_PYTHON = ("", "python", "py", "python3")


@dataclass(frozen=True)
class Block:
    """`language` as written behind the opening mark; `text` between the marks; `closed`: its end is marked; `start` and
    `end` of the whole block, marks too, in characters."""

    language: str
    text: str
    closed: bool
    start: int
    end: int

    @property
    def is_python(self) -> bool:
        """A block without a language counts as Python."""
        return self.language in _PYTHON


def fenced(text: str) -> list[Block]:
    """The blocks of a text in their order. A mark stands first on its line; one that names a language inside an open
    block ends that and begins another, as models write that forget an end."""
    found, at = list[Block](), 0
    language: str | None = None
    start = inner = 0
    for line in text.splitlines(keepends=True):
        mark = line.strip()
        if mark.startswith("```"):
            named = mark[3:].strip().lower()
            if language is not None:
                end = at if named else at + len(line)
                found.append(Block(language, text[inner:at], not named, start, end))
            language = named if named or language is None else None
            start, inner = at, at + len(line)
        at += len(line)
    if language is not None:
        found.append(Block(language, text[inner:], False, start, len(text)))
    return found


def program_in(text: str) -> str | None:
    """The program of a response: its Python blocks, one after the other; without any, the text itself if it is Python
    that prints something or defines `solution`. None if there is none."""
    programs = [block.text for block in fenced(text) if block.is_python]
    if programs:
        return "\n".join(programs)
    if "print(" not in text and "def solution(" not in text:
        return None
    return text if is_python(text) else None


def is_python(text: str) -> bool:
    """Would Python take it as a program? Nothing of it is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in a model's strings
            compile(text, "<program>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
