"""Where calibration text comes from. Bad files are refused with all their bad lines, never read in part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import DeltakitError, InputError

__all__ = ["NEUTRAL", "Text", "open_text"]

NEUTRAL = "the built-in neutral text"
_LISTED = 20  # bad lines named in one error
_PIECE = 1 << 16  # characters
_JSON = (".jsonl", ".json")
# Records of the kinds that training and evaluation read: the fields that make one document, in this order.
_FIELDS = (("text",), ("query", "response"), ("instruction", "input", "output"), ("question", "answer"))


@dataclass(frozen=True)
class Text:
    """A text by its name; `path` is None for the built-in one."""

    name: str
    path: Path | None = None

    def pieces(self) -> Iterator[tuple[str, bool]]:
        """(text, whether a document begins with it), in order. The rows of a JSONL file are documents; a text file is
        one, in pieces of some thousand characters that end where a line does. Never more than a piece is in memory."""
        if self.path is None:
            yield files("deltakit.calibrate").joinpath("neutral.txt").read_text(encoding="utf-8"), True
        elif self.path.suffix in _JSON:
            yield from ((document, True) for document, _ in _rows(self.path))
        else:
            yield from ((piece, i == 0) for i, piece in enumerate(_lines(self.path)))

    def digest(self) -> str:
        """ "sha256:<hex>" of all its documents."""
        made = hashlib.sha256()
        for piece, begins in self.pieces():
            made.update((b"\0" if begins else b"") + piece.encode())
        return f"sha256:{made.hexdigest()}"


def open_text(source: str | None) -> Text:
    """The text of a file, or the built-in one for None. The file is read through once.

    Raises InputError for a file that is missing, empty, no UTF-8, or (JSONL) has rows without text: all are named.
    """
    if source is None:
        return Text(NEUTRAL)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"there is no text file {source}", remedy="check the path of the calibration text")
    if path.suffix in _JSON:
        _check(path, [why for _, why in _rows(path)])
    elif not any([piece.strip() for piece in _lines(path)]):
        raise InputError(f"{source} holds no text", remedy="name a file with text in it")
    return Text(source, path)


def _check(path: Path, found: list[str]) -> None:
    bad = [why for why in found if why]
    if bad:
        more = [f"and {len(bad) - _LISTED} more"] if len(bad) > _LISTED else []
        raise InputError(
            f"{path}: {len(bad)} of {len(found)} rows hold no text",
            remedy='one JSON object a line, e.g. {"text": "..."}',
            details=[*bad[:_LISTED], *more],
        )
    if not found:
        raise InputError(f"{path} is empty", remedy="one JSON object a line is expected")


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """(document, "") or ("", why not) of each line that is not blank."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            try:
                document = _document(parse_json(raw.removeprefix(b"\xef\xbb\xbf"), f"line {number}"))
            except DeltakitError as wrong:
                yield "", wrong.message
                continue
            yield document, "" if document else f"line {number}: none of {_spelt()}"


def _document(row: Any) -> str:
    """The text of a record, its parts joined by line ends; "" where it has none."""
    if not isinstance(row, dict):
        return ""
    for fields in _FIELDS:
        parts = [row[f] for f in fields if isinstance(row.get(f), str) and row[f].strip()]
        if parts and isinstance(row.get(fields[0]), str):
            return "\n".join(parts)
    return ""


def _spelt() -> str:
    return ", ".join(json.dumps(fields[0]) for fields in _FIELDS)


def _lines(path: Path) -> Iterator[str]:
    """A text file in pieces that end where a line does, or, in a very long line, anywhere."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            while piece := file.read(_PIECE):
                yield piece if piece.endswith("\n") else piece + file.readline(_PIECE)
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8", remedy="name a text file in UTF-8") from None
