"""Ways to isolate: bubblewrap, namespaces of our own making, or none; each is a command that starts the fork server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from deltakit.sandbox.layout import ENVIRONMENT, FOLDER, Layout, layout
from deltakit.sandbox.limits import Limits

__all__ = ["KINDS", "Isolation", "Kind"]

Kind: TypeAlias = Literal["bubblewrap", "namespaces", "unsafe"]
KINDS: tuple[Kind, ...] = ("bubblewrap", "namespaces")  # the better first
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_USERS, _FIRST_USER = 4336, 61184  # systemd's range of dynamic users: nobody's files belong to one of them
_NOBODY = 65534


@dataclass(frozen=True)
class Isolation:
    """`kind` and its version, as results record them."""

    kind: Kind
    version: str

    @classmethod
    def of(cls, kind: Kind) -> Isolation | None:
        """That kind, if its means are on this machine at all; whether they work is for the probe to say."""
        if kind == "unsafe":
            return cls(kind, "limits only")
        if not sys.platform.startswith("linux"):
            return None
        if kind == "namespaces":
            return cls(kind, f"linux {os.uname().release}")
        program = shutil.which("bwrap")
        if program is None:
            return None
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
        found = re.search(r"\d+(\.\d+)+", said)
        return cls(kind, found.group() if found else "unknown")

    @property
    def safe(self) -> bool:
        """Does anything stand between a program and this machine?"""
        return self.kind != "unsafe"

    def command(self, worker: int, limits: Limits, imports: Sequence[str], folder: str) -> list[str]:
        """The command line of the fork server of one worker. `folder`: where it works if it is not isolated."""
        place = layout(inside=self.safe)
        # As root every worker is a user of its own: the kernel does not count root's processes.
        uid = _FIRST_USER + (os.getpid() * 16 + worker) % _USERS if self.safe and os.getuid() == 0 else None
        settings = {
            "uid": uid, "jailed": self.safe, "folder": FOLDER if self.safe else folder, "site": place.site,
            "imports": list(imports), "limits": asdict(limits),
        }  # fmt: skip
        server = [place.python, "-s", "-S", "-P", "-B", place.server, json.dumps(settings)]
        match self.kind:
            case "unsafe":
                return server
            case "namespaces":
                return _jail(place, uid, limits, server)
            case "bubblewrap":
                return _bubblewrap(place, uid, limits, server)

    def environment(self, folder: str) -> dict[str, str]:
        """All variables of the server; none of ours."""
        if not self.safe:
            return {**ENVIRONMENT, "HOME": folder}
        return {**ENVIRONMENT, "LD_LIBRARY_PATH": f"/python/{sys.platlibdir}"}


def _jail(place: Layout, uid: int | None, limits: Limits, server: list[str]) -> list[str]:
    wanted = {
        "uid": _NOBODY if uid is None else uid, "binds": place.binds, "devices": _DEVICES, "links": place.links,
        "covered": place.covered, "size": limits.folder, "command": server,
        "environment": {**ENVIRONMENT, "LD_LIBRARY_PATH": f"/python/{sys.platlibdir}"},
    }  # fmt: skip
    jail = str(Path(__file__).with_name("jail.py"))
    return [sys.executable, "-I", "-S", jail, json.dumps(wanted)]


def _bubblewrap(place: Layout, uid: int | None, limits: Limits, server: list[str]) -> list[str]:
    out = [shutil.which("bwrap") or "bwrap", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    if uid is None:
        out += ["--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY)]
    else:  # the server needs just these to become another user
        out += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for folder in sorted({str(Path(path).parent) for path in (*_DEVICES, *(to for _, to in place.binds))} - {"/"}):
        out += ["--perms", "0755", "--dir", folder]  # on its own it makes some of them for root alone
    for source, target in place.binds:
        out += ["--ro-bind", source, target]
    for path in _DEVICES:
        out += ["--dev-bind", path, path]
    for target, path in place.links:
        out += ["--symlink", target, path]
    for path in place.covered:
        out += ["--tmpfs", path, "--remount-ro", path]
    out += ["--proc", "/proc", "--perms", "1777", "--size", str(limits.folder), "--tmpfs", FOLDER]
    out += ["--remount-ro", "/", "--chdir", FOLDER, "--as-pid-1", "--clearenv"]
    for name, value in (*ENVIRONMENT.items(), ("LD_LIBRARY_PATH", f"/python/{sys.platlibdir}")):
        out += ["--setenv", name, value]
    return [*out, "--", *server]
