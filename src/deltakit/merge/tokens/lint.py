"""Chat templates are programs of a stranger: what no honest template needs is refused before it is copied.

This is a check of the text, against templates that reach for Python's internals. It is no sandbox: whoever renders a
template needs one all the same (transformers has one).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deltakit.errors import UnsafeError

__all__ = ["MAX_TEMPLATE", "check_template"]

MAX_TEMPLATE = 200_000  # characters; the longest in use have about 20 000
_OPEN = re.compile(r"\{[{%#]")
_PART = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^'"]""", re.S)
_TRICKS = (
    (re.compile(r"\.\s*_"), "an attribute that begins with an underscore"),
    (re.compile(r"\b__\w*"), "a name with two underscores"),
    (re.compile(r"\|\s*attr\b"), "the filter attr"),
    (re.compile(r"\b(?:lipsum|cycler|joiner)\b|\bself\s*\."), "an object that leads into Python"),
    (re.compile(r"\.\s*(?:mro|f_globals|f_builtins|(?:func|gi|cr|ag|tb)_[a-z]+)\b"), "Python's internals"),
    (re.compile(r"^[-+]?\s*(?:include|import|from|extends)\b"), "another template"),
)
_HIDDEN = re.compile(r"__[a-z]|\\x5f|\\u005f|\\137|\\N\{LOW LINE", re.I)


def check_template(text: str, where: str) -> None:
    """UnsafeError naming every trick that the template of `where` uses, or that it is too long to be one."""
    if len(text) > MAX_TEMPLATE:
        raise UnsafeError(f"{where}: a chat template of {len(text)} characters", remedy="choose another chat_template:")
    found: dict[str, None] = {}
    for code, strings in _blocks(text):
        found |= dict.fromkeys(what for pattern, what in _TRICKS if pattern.search(code))
        if any(_HIDDEN.search(s) for s in strings):
            found["a string that spells a hidden name"] = None
    if found:
        raise UnsafeError(
            f"{where}: its chat template is not safe to copy",
            details=list(found),
            remedy="choose another chat_template: auto, a built-in one, another model's, or your own",
        )


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """The code of each expression or statement with its strings emptied, and those strings."""
    at = 0
    while (opened := _OPEN.search(text, at)) is not None:
        if opened[0] == "{#":
            end = text.find("#}", opened.end())
            at = len(text) if end < 0 else end + 2
            continue
        code, strings, at = _block(text, opened.end(), "}}" if opened[0] == "{{" else "%}")
        yield code, strings


def _block(text: str, at: int, close: str) -> tuple[str, list[str], int]:
    code: list[str] = []
    strings: list[str] = []
    while at < len(text) and not text.startswith(close, at):
        part = _PART.match(text, at)
        piece = part[0] if part else text[at]  # a quote that nothing closes
        if len(piece) > 1:
            strings.append(piece[1:-1])
            piece = "''"
        code.append(piece)
        at = part.end() if part else at + 1
    return "".join(code), strings, at + len(close)
