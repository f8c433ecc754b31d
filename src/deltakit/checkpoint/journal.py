"""The journal of a staging folder: what is finished and durable, one JSON line per record."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deltakit.checkpoint import disk
from deltakit.checkpoint.checksum import Checksum

__all__ = ["Journal", "Record"]

_CHUNK = 8 << 20
_FORMAT = 1


@dataclass(frozen=True)
class Record:
    """`length` bytes at `offset` of `file` (in the staging folder) hold `name`; `extra` is the caller's own JSON."""

    name: str
    file: str
    offset: int
    length: int
    checksum: str
    extra: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """Records of one plan. `get` verifies what an earlier run left; `add` is durable when it returns."""

    def __init__(self, path: Path, folder: Path, plan: str) -> None:
        self._path, self._folder = path, folder
        self._lock = threading.Lock()
        self._head = _line({"journal": _FORMAT, "plan": plan})
        whole = path.read_bytes() if path.exists() else b""
        self._known, self._end = _parse(whole, self._head)
        self._fd = disk.create(path)
        try:
            if self._end == 0:
                self._append(self._head)
            disk.fsync_folder(path.parent)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str) -> Record | None:
        """What is finished under `name`, after reading its bytes and comparing the checksum; else None."""
        record = self._known.get(name)
        return record if record is not None and self._intact(record) else None

    def add(
        self, name: str, file: str, offset: int, length: int, checksum: str, extra: Mapping[str, Any] | None = None
    ) -> None:
        """One record: syncs `file` first, then the line."""
        self.extend([Record(name, file, offset, length, checksum, extra or {})])

    def extend(self, records: Sequence[Record]) -> None:
        """Several records for one price: each file is synced once, then the lines."""
        if not records:
            return
        for file in sorted({record.file for record in records}):
            path = self._folder / file
            fd = disk.create(path)
            try:
                disk.fsync(fd, path)
            finally:
                disk.close(fd)
        with self._lock:
            self._append(b"".join(_line(asdict(record)) for record in records))
            self._known.update({record.name: record for record in records})

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            disk.close(self._fd)
            self._fd = -1

    def _append(self, lines: bytes) -> None:
        disk.set_size(self._fd, self._end, self._path)  # cut off what a kill left half-written
        disk.pwrite(self._fd, lines, self._end, self._path)
        disk.fsync(self._fd, self._path)
        self._end += len(lines)

    def _intact(self, record: Record) -> bool:
        state, left = Checksum(record.checksum), record.length
        try:
            with (self._folder / record.file).open("rb") as file:
                file.seek(record.offset)
                while left and (chunk := file.read(min(left, _CHUNK))):
                    state.update(chunk)
                    left -= len(chunk)
        except FileNotFoundError:
            return False
        return left == 0 and state.text == record.checksum


def _line(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, separators=(",", ":"), ensure_ascii=True) + "\n").encode()


def _parse(whole: bytes, head: bytes) -> tuple[dict[str, Record], int]:
    """The records, and where the whole lines end; nothing of a journal of another plan."""
    if not whole.startswith(head):
        return {}, 0
    known, end = {}, len(head)
    for line in whole[end:].splitlines(keepends=True):
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError):
            break
        if not line.endswith(b"\n"):
            break
        known[record.name] = record
        end += len(line)
    return known, end
