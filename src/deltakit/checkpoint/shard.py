"""One opened weight file: its header now, its memory map at the first read, and a watch for changes."""

from __future__ import annotations

import mmap
import os
import stat
import threading
from pathlib import Path

from deltakit.checkpoint.header import Header, read_header
from deltakit.errors import CheckpointError, InputError

__all__ = ["Shard"]


class Shard:
    """A safetensors file. Threads may read it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity = _identity(path)
        self.header: Header = read_header(path)
        self._map: mmap.mmap | None = None
        self._lock = threading.Lock()

    def view(self, start: int, end: int) -> memoryview:
        """Bytes [start, end) of the file, not copied. InputError if the file changed since it was opened."""
        self.check_unchanged()
        return memoryview(self._mapped())[start:end]

    def check_unchanged(self) -> None:
        """InputError unless size, modification time and inode are those found at opening."""
        if _identity(self.path) != self.identity:
            problem = f"{self.path} changed since it was opened"
            raise InputError(problem, remedy="let no other program write to the input, then run again")

    def prefetch(self, start: int, end: int) -> None:
        """Ask the system to read [start, end) ahead; a hint only."""
        page = mmap.PAGESIZE
        lo = start // page * page
        if end > lo and hasattr(mmap, "MADV_WILLNEED"):
            self._mapped().madvise(mmap.MADV_WILLNEED, lo, end - lo)

    def drop_pages(self) -> None:
        """Let go of the resident pages; they come back from the file when touched again."""
        with self._lock:
            if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
                self._map.madvise(mmap.MADV_DONTNEED)

    def _mapped(self) -> mmap.mmap:
        with self._lock:
            if self._map is None:
                with self.path.open("rb") as file:
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return self._map


def _identity(path: Path) -> tuple[int, int, int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist", remedy="check the path, or run the download again") from None
    if not stat.S_ISREG(found.st_mode):  # a pipe would wait for ever
        raise CheckpointError(f"{path} is not a regular file", remedy="name a .safetensors file or a folder of them")
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev
