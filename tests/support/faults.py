"""Faults in every place where files are written: fail, kill or cut the power at operation n.

`deltakit.checkpoint.disk` is the one module that writes; here its `os` is replaced by one that counts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltakit.checkpoint import disk

COUNTED = ("open", "ftruncate", "pwrite", "fsync", "rename", "unlink", "mkdir", "rmdir", "chmod")
GROWING = ("open", "ftruncate", "pwrite", "mkdir")  # what a full disk refuses


ALL = frozenset({"data", "names", "removals"})


class PowerCut(BaseException):
    """The machine is off: nothing after this reaches the disk."""


class FaultyOs:
    """The `os` module, with `fault(operation, number)` called before each counted operation."""

    def __init__(self, fault: Callable[[str, int], None]) -> None:
        self.fault = fault
        self.calls: list[str] = []

    def before(self, name: str) -> None:
        self.calls.append(name)
        self.fault(name, len(self.calls) - 1)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in COUNTED:
            return real

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.before(name)
            # a simulated machine needs no real fsync, and hundreds of them are slow
            return None if name == "fsync" else real(*args, **kwargs)

        return counted


@contextmanager
def faulty(fault: Callable[[str, int], None] = lambda name, n: None, *, swap: bool = True) -> Iterator[FaultyOs]:
    """All writing goes through a FaultyOs meanwhile. `swap=False`: a system without RENAME_EXCHANGE."""
    shim, real_os, real_swap = FaultyOs(fault), disk.os, disk._swap

    def swapped(old: Path, new: Path) -> bool:
        if not swap:
            return False
        shim.before("swap")
        return real_swap(old, new)

    disk.os, disk._swap = shim, swapped  # type: ignore[assignment]
    try:
        yield shim
    finally:
        disk.os, disk._swap = real_os, real_swap


def full_disk(at: int) -> Callable[[str, int], None]:
    """From operation `at` on, nothing may grow (ENOSPC)."""

    def fault(name: str, n: int) -> None:
        if n >= at and name in GROWING:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fault


def broken(at: int, code: int = errno.EIO, only: str = "") -> Callable[[str, int], None]:
    """Operation `at` fails once; with `only`, the at-th operation of that name."""
    seen = [0]

    def fault(name: str, n: int) -> None:
        if only:
            if name != only:
                return
            n, seen[0] = seen[0], seen[0] + 1
        if n == at:
            raise OSError(code, os.strerror(code))

    return fault


def killed_at(at: int, work: Callable[[], Any], *, swap: bool = True) -> bool:
    """Run `work` as if it died by SIGKILL before operation `at`; False if it came to its end.

    What was written stays, nothing after is: clean-up code runs here, but every operation of it dies too.
    (tests/checkpoint/test_write.py also kills a real process.)
    """

    def fault(name: str, n: int) -> None:
        if n >= at:
            raise PowerCut

    with faulty(fault, swap=swap):
        try:
            work()
        except PowerCut:
            return True
    return False


def power_cut_at(at: int, work: Callable[[], Any], *, lost: frozenset[str] = ALL) -> bool:
    """Run `work`, cut the power before operation `at`, and undo what was not synced; False if it came to its end.

    `lost` says which unsynced changes are undone ("data", "names", "removals"); others reach the disk, as
    real file systems may reorder them.
    """
    machine = _Machine(lost)

    def fault(name: str, n: int) -> None:
        if n >= at:
            raise PowerCut

    with faulty(fault) as shim:
        disk.os = _Watched(shim, machine)  # type: ignore[assignment]
        try:
            work()
        except PowerCut:
            machine.cut()
            return True
    machine.forget()
    return False


class _Machine:
    """What is written but not synced: a list of (inode that must be synced, undo), in order."""

    def __init__(self, lost: frozenset[str]) -> None:
        self.lost = lost
        self.pending: list[tuple[tuple[int, int], Callable[[], Any]]] = []
        self.descriptors: list[int] = []

    def keep(self, path: Path | str) -> int:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.descriptors.append(fd)
        return fd

    def changed(self, what: str, fd: int, undo: Callable[[], Any]) -> None:
        if what in self.lost:
            self.pending.append((_inode(fd), undo))

    def synced(self, fd: int) -> None:
        self.pending = [(inode, undo) for inode, undo in self.pending if inode != _inode(fd)]

    def cut(self) -> None:
        for _, undo in reversed(self.pending):
            try:
                undo()
            except OSError:
                continue  # the thing is gone with the folder that held it
        self.forget()

    def forget(self) -> None:
        for fd in self.descriptors:
            os.close(fd)


class _Watched:
    """An `os` whose changes are remembered by a _Machine until they are synced."""

    def __init__(self, shim: FaultyOs, machine: _Machine) -> None:
        self._shim, self._machine = shim, machine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shim, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        new = flags & os.O_CREAT and not Path(path).exists()
        fd: int = self._shim.open(path, flags, mode)
        if new:
            folder = self._machine.keep(Path(path).parent)
            name = Path(path).name
            self._machine.changed("names", folder, lambda: os.unlink(name, dir_fd=folder))
        return fd

    def mkdir(self, path: Path) -> None:
        self._shim.mkdir(path)
        folder, name = self._machine.keep(Path(path).parent), Path(path).name
        self._machine.changed("names", folder, lambda: os.rmdir(name, dir_fd=folder))

    def unlink(self, path: Path) -> None:
        regular = Path(path).is_file() and not Path(path).is_symlink()
        content = Path(path).read_bytes() if regular else b""
        folder, name = self._machine.keep(Path(path).parent), Path(path).name
        self._shim.unlink(path)
        if regular:
            self._machine.changed("removals", folder, lambda: _restore(folder, name, content))

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        before, size = os.pread(fd, len(data), offset), os.fstat(fd).st_size
        done: int = self._shim.pwrite(fd, data, offset)
        self._undo_data(fd, before, offset, size)
        return done

    def ftruncate(self, fd: int, size: int) -> None:
        old = os.fstat(fd).st_size
        before = os.pread(fd, max(0, old - size), size)
        self._shim.ftruncate(fd, size)
        self._undo_data(fd, before, size, old)

    def _undo_data(self, fd: int, before: bytes, offset: int, size: int) -> None:
        copy = os.dup(fd)
        self._machine.descriptors.append(copy)

        def undo() -> None:
            os.ftruncate(copy, size)
            os.pwrite(copy, before, offset)

        self._machine.changed("data", fd, undo)

    def rename(self, old: Path, new: Path) -> None:
        source, target = self._machine.keep(Path(old).parent), self._machine.keep(Path(new).parent)
        a, b = Path(old).name, Path(new).name
        replaced = Path(new).read_bytes() if Path(new).is_file() else None
        empty_folder = Path(new).is_dir()
        self._shim.rename(old, new)

        def undo() -> None:
            os.rename(b, a, src_dir_fd=target, dst_dir_fd=source)
            if replaced is not None:
                _restore(target, b, replaced)
            if empty_folder:
                os.mkdir(b, dir_fd=target)

        self._machine.changed("names", target, undo)

    def fsync(self, fd: int) -> None:
        self._shim.fsync(fd)
        self._machine.synced(fd)


def _restore(folder: int, name: str, content: bytes) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=folder)
    os.pwrite(fd, content, 0)
    os.close(fd)


def _inode(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino
