"""The only place that creates, writes, syncs, renames or removes files: where tests inject faults.

Every call goes through this module's `os`, so that a test can count, fail, kill or drop it. Failures
become errors that say what to do: a full disk is a ResourceError (5), no permission an InputError (3).
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltakit.errors import DeltakitError, InputError, RecipeError, ResourceError

__all__ = [
    "append",
    "appendable",
    "aside",
    "close",
    "create",
    "exchange",
    "fsync",
    "fsync_folder",
    "make_folder",
    "pwrite",
    "remove",
    "remove_tree",
    "rename",
    "require_space",
    "set_mode",
    "set_size",
    "write_file",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_LACKING = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.EISDIR)


def create(path: Path) -> int:
    """A descriptor for writing; the file is made where missing (0666 under the umask), never a followed symlink."""
    with _explained("create", path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def appendable(path: Path) -> int:
    """A descriptor of a file that is read anywhere and only ever written at its end; made where missing."""
    with _explained("open", path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)


def append(fd: int, data: bytes, path: Path) -> int:
    """All bytes in one write at the end, so that lines of several processes stay whole; the offset behind them."""
    with _explained("write", path):
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.lseek(fd, 0, os.SEEK_CUR)


def set_size(fd: int, size: int, path: Path) -> None:
    """Give an open file its final size."""
    with _explained("size", path):
        os.ftruncate(fd, size)


def pwrite(fd: int, data: Any, offset: int, path: Path) -> None:
    """Write all bytes of a bytes-like at an offset."""
    view = memoryview(data).cast("B")
    with _explained("write", path):
        while view:
            done = os.pwrite(fd, view, offset)
            view, offset = view[done:], offset + done


def fsync(fd: int, path: Path) -> None:
    """Force an open file's bytes to the disk."""
    with _explained("sync", path):
        os.fsync(fd)


def close(fd: int) -> None:
    """Close a descriptor."""
    os.close(fd)


def fsync_folder(path: Path) -> None:
    """Force a folder's entries (names) to the disk."""
    with _explained("sync", path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_file(path: Path, data: bytes) -> None:
    """A whole small file, written over and synced; its folder is not."""
    fd = create(path)
    try:
        set_size(fd, len(data), path)
        pwrite(fd, data, 0, path)
        fsync(fd, path)
    finally:
        close(fd)


def make_folder(path: Path) -> None:
    """A folder with its parents, if missing."""
    with _explained("create", path):
        if not path.is_dir():
            if path.parent != path:
                make_folder(path.parent)
            os.mkdir(path)


def set_mode(path: Path, mode: int) -> None:
    """Permission bits."""
    with _explained("set the mode of", path):
        os.chmod(path, mode)


def rename(old: Path, new: Path) -> None:
    """Atomic rename within one file system; replaces a file or an empty folder."""
    with _explained("rename to", new):
        os.rename(old, new)


def exchange(old: Path, new: Path) -> None:
    """Swap two paths: in one atomic step where the system can (Linux renameat2), else in three renames."""
    with _explained("rename to", new):
        if not _swap(old, new):
            os.rename(new, aside(new))
            os.rename(old, new)
            os.rename(aside(new), old)


def aside(path: Path) -> Path:
    """Where `exchange` puts the old folder for a moment, if it cannot swap."""
    return path.with_name(f"{path.name}.partial-old")


def remove(path: Path) -> None:
    """Remove a file; one that is gone already is fine."""
    with _explained("remove", path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, following no symlink; one that is gone already is fine."""
    with _explained("remove", path):
        if path.is_symlink() or not path.is_dir():
            return
        for entry in sorted(path.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                remove_tree(entry)
            else:
                os.unlink(entry)
        os.rmdir(path)


def require_space(folder: Path, nbytes: int) -> int:
    """Free bytes of the file system of `folder` (or its nearest existing parent); ResourceError if under `nbytes`."""
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        problem = f"not enough disk at {folder}: {nbytes:,} bytes needed, {free:,} free"
        raise ResourceError(problem, remedy="free some space, or choose an output on another disk")
    return free


def _swap(old: Path, new: Path) -> bool:
    """RENAME_EXCHANGE; False where kernel, C library or file system lacks it."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    at, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    done: int = call(at, os.fsencode(old), at, os.fsencode(new), swap)
    return done == 0


@contextmanager
def _explained(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error(action, path, error) from error


def _error(action: str, path: Path, error: OSError) -> DeltakitError:
    said = f"cannot {action} {path}: {error.strerror or error}"
    if error.errno in _FULL:
        remedy = "free some space and run the same command again: it resumes; the old output is untouched"
        return ResourceError(said, remedy=remedy)
    if error.errno in _DENIED:
        return InputError(said, remedy="choose an output that you may write to")
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ) or (error.errno == errno.EINVAL and action == "create"):
        return RecipeError(said, remedy="choose another output name")
    if error.errno in _IN_THE_WAY:
        return InputError(said, remedy="something else stands there; choose another output")
    if error.errno in (errno.EXDEV, errno.EBUSY):
        return ResourceError(
            said, remedy="choose an output folder inside the mounted file system, not the mount itself"
        )
    if error.errno in _LACKING:
        remedy = "this file system cannot do that, and half an output is none: write to a local disk, and copy it"
        return ResourceError(said, remedy=remedy)
    return ResourceError(said, remedy="check the disk, then run the same command again: it resumes")
