"""One run per output: an advisory lock beside it that dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from deltakit.checkpoint import disk
from deltakit.errors import InputError

__all__ = ["Lock"]


class Lock:
    """`OUT.lock`, held by flock: the system frees it when the process dies, so no lock is ever stale."""

    def __init__(self, out: Path) -> None:
        self.path = out.with_name(f"{out.name}.lock")
        self._fd = -1

    def take(self) -> None:
        """InputError if another run, here or in another process, holds it."""
        while True:
            fd = disk.create(self.path)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
                disk.close(fd)
                problem = f"another run (process {holder or 'unknown'}) is writing this output ({self.path})"
                raise InputError(problem, remedy="wait for it, or choose another output") from None
            if self._is(fd):
                break
            disk.close(fd)  # the former holder removed the file between our open and our lock
        self._fd = fd
        try:
            disk.set_size(fd, 0, self.path)
            disk.pwrite(fd, f"{os.getpid()}\n".encode(), 0, self.path)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Remove and unlock; harmless when it is not held."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                disk.remove(self.path)
            finally:
                disk.close(fd)

    def _is(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False
