"""Namespaces without help: user, mount, process, network, IPC and host-name ones, and a root with little in it.

Stands alone (standard library only): `python jail.py SPECIFICATION`, JSON with `uid` (the user to be inside, and where
root starts it outside too), `binds` [[from, to], ...] read-only, `devices` [path, ...], `links` [[target, path], ...],
`covered` [path, ...] hidden under an empty folder, `size` of the one writable folder /tmp, `command`, `environment`.
Linux 5.12 or newer.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys

_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000  # user mnt pid net ipc uts
_NOSUID, _NODEV, _NOEXEC, _RDONLY = 2, 4, 8, 1
_BIND, _REC, _PRIVATE, _DETACH = 4096, 16384, 1 << 18, 2
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}  # numbers of calls that libc may not wrap
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    parts = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _check(_libc.mount(parts[0], parts[1], parts[2], ctypes.c_ulong(flags), parts[4]), f"mount {target}")


def read_only(target: str, attributes: int) -> None:
    """Add attributes to a mount and all mounts below it."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    path = ctypes.c_char_p(target.encode())
    _check(
        _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, wanted, ctypes.c_size_t(32)),
        f"mount_setattr {target}",
    )


def bind(source: str, target: str, attributes: int) -> None:
    """A file or a folder of the old root at a place of the new one."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_RDONLY, 0o644))
    mount(source, target, flags=_BIND | _REC)
    read_only(target, attributes)


def furnish(wanted: dict[str, object], old: str, new: str) -> None:
    """Fill the new root."""
    for source, target in wanted["binds"]:  # type: ignore[attr-defined]
        bind(old + source, new + target, _RDONLY | _NOSUID | _NODEV)
    for path in wanted["devices"]:  # type: ignore[attr-defined]
        bind(old + path, new + path, _NOSUID | _NOEXEC)
    for target, path in wanted["links"]:  # type: ignore[attr-defined]
        os.makedirs(os.path.dirname(new + path), exist_ok=True)
        os.symlink(target, new + path)
    for path in wanted["covered"]:  # type: ignore[attr-defined]
        mount("tmpfs", new + path, "tmpfs", _RDONLY | _NOSUID | _NODEV, "size=4k,mode=755")
    for path in ("/tmp", "/proc"):
        os.makedirs(new + path, exist_ok=True)
    mount("tmpfs", new + "/tmp", "tmpfs", _NOSUID | _NODEV, f"size={wanted['size']},nr_inodes=4096,mode=1777")
    with contextlib.suppress(PermissionError):  # a container may forbid it: then there is none to see
        mount("proc", new + "/proc", "proc", _NOSUID | _NODEV | _NOEXEC, "subset=pid")


def enter(wanted: dict[str, object]) -> None:
    """In the new namespaces: make the new root, and let go of the old one."""
    pivot = _PIVOT_ROOT[os.uname().machine]
    mount("none", "/", flags=_REC | _PRIVATE)
    mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV, "mode=755")
    os.mkdir("/tmp/old")
    os.mkdir("/tmp/new")
    _check(_libc.syscall(pivot, b"/tmp", b"/tmp/old"), "pivot_root")
    os.chdir("/")
    mount("tmpfs", "/new", "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    furnish(wanted, "/old", "/new")
    read_only_root("/new")
    os.chdir("/new")
    _check(_libc.syscall(pivot, b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount the old root")
    os.chdir("/tmp")


def read_only_root(new: str) -> None:
    """The root itself, not the writable folder below it."""
    mount("none", new, flags=32 | _BIND | _RDONLY | _NOSUID | _NODEV)  # 32: remount


def write(path: str, text: str) -> None:
    """One write, as the maps of a namespace want it."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def map_user(pid: int, uid: int, own: int, group: int) -> None:
    """Which users there are in the namespace of `pid`: root and `uid` if root asks, else `uid` alone, who is us."""
    if own == 0:
        for kind in ("uid_map", "gid_map"):
            write(f"/proc/{pid}/{kind}", f"0 0 1\n{uid} {uid} 1\n")
        return
    write(f"/proc/{pid}/setgroups", "deny")
    write(f"/proc/{pid}/uid_map", f"{uid} {own} 1\n")
    write(f"/proc/{pid}/gid_map", f"{uid} {group} 1\n")


def unshare(uid: int) -> None:
    """New namespaces, their users mapped by a helper that stayed outside."""
    own, group, me = os.getuid(), os.getgid(), os.getpid()
    go, start = os.pipe()
    helper = os.fork() if own == 0 else 0
    if own == 0 and helper == 0:
        code = 1
        try:
            os.close(start)
            os.read(go, 1)
            map_user(me, uid, own, group)
            code = 0
        finally:
            os._exit(code)
    _check(_libc.unshare(_NAMESPACES), "unshare")
    if own != 0:
        map_user(me, uid, own, group)
        return
    os.write(start, b"x")
    if os.waitpid(helper, 0)[1] != 0:
        raise PermissionError("the users of a new namespace cannot be mapped")
    for fd in (go, start):
        os.close(fd)


def main() -> None:
    """Enter, and become the command as process 1; outside, wait for it."""
    wanted = json.loads(sys.argv[1])
    unshare(wanted["uid"])
    pid = os.fork()
    if pid != 0:
        os.close(0)
        os.close(1)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
    enter(wanted)
    os.execve(wanted["command"][0], wanted["command"], wanted["environment"])


if __name__ == "__main__":
    main()
