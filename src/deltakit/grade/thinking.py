"""Thinking parts of a completion: what a reasoning model writes for itself, before or between what it answers.

Known marks: <think>, <thinking>, <thought>, <reasoning>, <seed:think>, [THINK] and ◁think▷, each with its closing one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Stripped", "opened_thought", "strip_thinking"]

_NAMES = r"(?:think|thinking|thought|reasoning|seed:think)"
# A mark in backticks is spoken of, not used.
_MARK = re.compile(rf"(?<!`)(?:<(/?){_NAMES}>|◁(/?)think▷|\[(/?)THINK\])(?!`)", re.IGNORECASE)
_OPENED = re.compile(rf"(?:<{_NAMES}>|◁think▷|\[THINK\])\s*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Stripped:
    """`text` to be graded, `thinking` that was cut from it (empty: none). `closed` is False where a thought never
    ended, as one does that was cut by length: what it says is no answer."""

    text: str
    thinking: str
    closed: bool


def strip_thinking(text: str) -> Stripped:
    """A completion without its thoughts; one without any mark comes back as it is.

    A closing mark without an opening one ends a thought that began in the prompt (chat templates do that), or one that
    another closing mark seemed to end: all before it is thought. Kinds of marks are not told apart, and an opening one
    inside a thought is part of it. After an unclosed thought only what stood before it is left.
    """
    kept, thought = list[str](), list[str]()
    inside, at, marks = False, 0, 0
    for mark in _MARK.finditer(text):
        closes = any(mark.groups())
        piece, at, marks = text[at : mark.start()], mark.end(), marks + 1
        if closes and not inside:
            thought += [*kept, piece]
            kept = []
        else:
            (thought if inside else kept).append(piece)
        inside = not closes
    (thought if inside else kept).append(text[at:])
    if not marks:
        return Stripped(text, "", True)
    return Stripped("".join(kept).strip(), "\n".join(p for p in map(str.strip, thought) if p), not inside)


def opened_thought(prompt: str) -> str:
    """The opening mark, with the white space behind it, that a prompt ends with; empty if it ends otherwise."""
    found = _OPENED.search(prompt)
    return found.group() if found else ""
