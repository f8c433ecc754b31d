"""Answers that are known already: one file of lines that is only ever appended to, so that a killed run goes on at the
item where it stopped and a later run computes nothing twice."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import xxhash

from deltakit.errors import InputError

__all__ = ["FORMAT", "Answers"]

_LOG = logging.getLogger("deltakit")
FORMAT = 1
_NAME = "answers.jsonl"


class Answers:
    """Values by key. With a folder they are kept in its `answers.jsonl`: a header line, then one line a value,
    "CHECKSUM KEY JSON"; several processes may append. Without one they last as long as the object.

    To be closed, or used in a `with`. InputError for a file of another format. A line that was cut off by a kill, or
    damaged, counts as absent.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._at: dict[str, tuple[int, int]] = {}
        self._held: dict[str, Any] = {}
        self._file: IO[bytes] | None = None
        self.path = None if folder is None else folder / _NAME
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            try:
                self._read_index(self.path)
            except InputError:
                self.close()
                raise

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._held) + len(self._at)

    def __contains__(self, key: str) -> bool:
        return key in self._held or key in self._at

    def get(self, key: str) -> Any:
        """The value of a key, or None."""
        if key in self._held:
            return self._held[key]
        if key not in self._at or self._file is None:
            return None
        start, size = self._at[key]
        return json.loads(os.pread(self._file.fileno(), size, start))

    def put(self, key: str, value: Mapping[str, Any] | list[Any]) -> None:
        """Keep a value; once this returns, the death of the process does not lose it."""
        if self._file is None:
            self._held[key] = value
            return
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        line = _line(key, raw)
        self._file.write(line)
        self._file.flush()  # one write to a file opened for appending: other processes' lines stay whole
        self._at[key] = (self._file.tell() - len(raw) - 1, len(raw))

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_index(self, path: Path) -> None:
        assert self._file is not None
        self._file.seek(0)
        first = self._file.readline()
        if not first:
            self._file.write(json.dumps({"deltakit_answers": FORMAT}).encode() + b"\n")
            self._file.flush()
            return
        _check_header(first, path)
        damaged, start, whole = 0, len(first), True
        for line in self._file:
            key = _key_of(line)
            if key is None:
                damaged += 1
            else:
                skipped = line.index(b" ", 17) + 1
                self._at[key] = (start + skipped, len(line) - skipped - 1)
            start, whole = start + len(line), line.endswith(b"\n")
        if not whole:
            self._file.write(b"\n")  # the next value begins a line of its own
            self._file.flush()
        if damaged:
            _LOG.warning("%s: %d lines are damaged; their items are asked again", path, damaged)


def _line(key: str, raw: bytes) -> bytes:
    body = key.encode() + b" " + raw
    return xxhash.xxh3_64_hexdigest(body).encode() + b" " + body + b"\n"


def _key_of(line: bytes) -> str | None:
    """The key of a whole line; None for a damaged one."""
    check, _, body = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or xxhash.xxh3_64_hexdigest(body).encode() != check:
        return None
    return body.partition(b" ")[0].decode()


def _check_header(line: bytes, path: Path) -> None:
    try:
        found = json.loads(line)["deltakit_answers"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: no file of answers", remedy="name another folder, or remove the file") from None
    if found != FORMAT:
        raise InputError(
            f"{path}: answers of format {found}, this version reads {FORMAT}",
            remedy="name another folder, or remove the file: everything in it can be computed again",
        )
