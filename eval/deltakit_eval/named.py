"""A MODEL operand of `deltakit eval`: "MODEL", or "NAME=MODEL" to have it called NAME in results and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deltakit.errors import DeltakitError, RecipeError

__all__ = ["Named", "blamed", "read_named"]


@dataclass(frozen=True)
class Named:
    """A MODEL string and what to call it."""

    name: str
    text: str


def read_named(operands: Sequence[str]) -> list[Named]:
    """Operands in their order. A path that exists is a path, whatever it holds; a name is free text without "/" and
    "=". RecipeError for none, and for names that are not unique."""
    found = [_named(text) for text in operands]
    if not found:
        raise RecipeError("no model named", remedy="deltakit eval MODEL ...")
    twice = sorted(name for name, n in Counter(m.name for m in found).items() if n > 1)
    if twice:
        raise RecipeError("two models of one name", details=twice, remedy='name each model once, or write "NAME=MODEL"')
    return found


@contextmanager
def blamed(name: str) -> Iterator[None]:
    """An error that comes within says which model it came with."""
    try:
        yield
    except DeltakitError as error:
        raise type(error)(f"{name}: {error.message}", remedy=error.remedy, details=error.details) from error


def _named(text: str) -> Named:
    name, equals, model = text.partition("=")
    if not equals or "/" in name or _exists(text) or _exists(text.partition(" + ")[0]):
        return Named(text, text)
    if not name.strip() or not model.strip():
        raise RecipeError(f"{text!r}: cannot read it", remedy='write MODEL, or "NAME=MODEL"')
    return Named(name.strip(), model.strip())


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:
        return False  # too long to be a path
