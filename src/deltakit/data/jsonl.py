"""JSON rows from a file, each with its line; what cannot be read is listed, never dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from deltakit.errors import InputError

__all__ = ["Bad", "Row", "bad_rows_error", "read_rows"]

LISTED = 20  # bad rows named in one error


@dataclass(frozen=True)
class Row:
    """A JSON object and the line it stands on (for a file that is one JSON list: its place in the list), from 1."""

    line: int
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Bad:
    """A line that holds no usable row, and why."""

    line: int
    why: str


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _parse(raw: bytes) -> Any:
    """JSON, strictly: UTF-8, no NaN or Infinity, no duplicate keys."""
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _row(line: int, value: Any) -> Row | Bad:
    if isinstance(value, dict):
        return Row(line, value)
    return Bad(line, f"a JSON object was expected, found {type(value).__name__}")


def _lines(path: Path) -> Iterator[Row | Bad]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            text = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not text.strip():
                continue
            try:
                yield _row(number, _parse(text))
            except ValueError as error:
                yield Bad(number, f"no JSON: {error}")


def _list(path: Path) -> Iterator[Row | Bad]:
    try:
        whole = _parse(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}", remedy="a JSON list, or one JSON object a line (JSONL)") from None
    yield from (_row(number, value) for number, value in enumerate(whole, start=1))


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def read_rows(path: Path) -> Iterator[Row | Bad]:
    """The rows of a JSONL file or of a file that is one JSON list, in order; blank lines are no rows.

    A missing or empty file is an InputError; a line that is no JSON object comes as a `Bad`.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", remedy="check the path")
    first = _first_byte(path)
    if not first and path.stat().st_size <= 4096:
        raise InputError(f"{path} is empty", remedy="one JSON object a line is expected")
    return _list(path) if first == b"[" else _lines(path)


def bad_rows_error(path: Path, bad: list[Bad], total: int, remedy: str) -> InputError:
    """All problems at once: the first of them by line, and how many more there are."""
    details = [f"{path.name}:{b.line}: {b.why}" for b in bad[:LISTED]]
    if len(bad) > LISTED:
        details.append(f"and {len(bad) - LISTED} more")
    return InputError(f"{path}: {len(bad)} of {total} records are bad", remedy=remedy, details=details)
