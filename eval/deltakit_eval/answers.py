"""Answers that are known already: one file of lines that is only ever appended to, so that a killed run goes on at the
item where it stopped and a later run computes nothing twice."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from deltakit.checkpoint import disk
from deltakit.errors import InputError

__all__ = ["FORMAT", "Answers"]

_LOG = logging.getLogger("deltakit")
FORMAT = 1
_NAME = "answers.jsonl"


class Answers:
    """Values by key. With a folder they are kept in its `answers.jsonl`: a header line, then one line a value,
    "CHECKSUM KEY JSON"; several processes may append. Without one they last as long as the object.

    To be closed, or used in a `with`. InputError for a file of another format and for a place that cannot be written,
    ResourceError when the disk is full. A line that was cut off by a kill, or damaged, counts as absent.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._at: dict[str, tuple[int, int]] = {}
        self._held: dict[str, Any] = {}
        self._fd: int | None = None
        self.path = None if folder is None else folder / _NAME
        if self.path is not None:
            disk.make_folder(self.path.parent)
            self._fd = disk.appendable(self.path)
            try:
                self._read_index(self._fd, self.path)
            except BaseException:
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
        if key not in self._at or self._fd is None:
            return None
        start, size = self._at[key]
        return json.loads(os.pread(self._fd, size, start))

    def put(self, key: str, value: Mapping[str, Any] | list[Any]) -> None:
        """Keep a value; once this returns, the death of the process does not lose it."""
        if self._fd is None or self.path is None:
            self._held[key] = value
            return
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        end = disk.append(self._fd, _line(key, raw), self.path)
        self._at[key] = (end - len(raw) - 1, len(raw))

    def close(self) -> None:
        """Let the file go."""
        if self._fd is not None:
            disk.close(self._fd)
            self._fd = None

    def _read_index(self, fd: int, path: Path) -> None:
        lines = os.fdopen(os.dup(fd), "rb")
        with lines:
            lines.seek(0)
            first = lines.readline()
            if not first:
                disk.append(fd, json.dumps({"deltakit_answers": FORMAT}).encode() + b"\n", path)
                return
            _check_header(first, path)
            damaged, start, whole = 0, len(first), True
            for line in lines:
                key = _key_of(line)
                if key is not None:
                    skipped = line.index(b" ", 17) + 1
                    self._at[key] = (start + skipped, len(line) - skipped - 1)
                elif line not in (first, b"\n"):  # two processes may begin a file, and end a line, at one time
                    damaged += 1
                start, whole = start + len(line), line.endswith(b"\n")
        if not whole:
            disk.append(fd, b"\n", path)  # the next value begins a line of its own
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
