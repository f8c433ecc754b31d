"""Does an isolation hold here? A program tries to get out; what it reaches is listed."""

from __future__ import annotations

import json
import os
import select
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from deltakit.errors import ResourceError
from deltakit.generate.play import Run
from deltakit.sandbox.isolation import KINDS, Isolation, Kind
from deltakit.sandbox.limits import Limits
from deltakit.sandbox.outcome import Outcome
from deltakit.sandbox.worker import Worker

__all__ = ["available", "escapes", "probe", "why_not"]

SECRET = "DELTAKIT_SANDBOX_PROBE"
_ATTEMPTS = """
import json, os, socket
found = []
def attempt(name, act):
    try:
        if act():
            found.append(name)
    except Exception:
        pass
def connect():
    with socket.socket() as s:
        s.settimeout(1)
        s.connect(("127.0.0.1", PORT))
    return True
def write(path):
    # where nothing isolates, this is the machine itself: what is made is gone at once, what is there is not changed
    if not os.path.isdir(path):
        os.close(os.open(path, os.O_WRONLY))
        return True
    made = os.path.join(path, "deltakit-probe-%d" % os.getpid())
    os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(made)
    return True
attempt("reads a file of this machine", lambda: open(FILE).read() == NAME)
attempt("sees the home folder", lambda: bool(os.listdir(HOME)) and HOME not in ("/", "/tmp"))
attempt("reads /etc/passwd", lambda: bool(open("/etc/passwd").read()))
attempt("opens a socket", connect)
attempt("sees our environment", lambda: NAME in os.environ)
attempt("signals our process", lambda: os.kill(OURS, 0) is None if OURS > 16 else False)
attempt("sees our processes", lambda: any(int(p) > 64 for p in os.listdir("/proc") if p.isdigit()))
for place in ("/", "/usr", "/usr/lib", "/runner", "/site", "/python", "/dev", "/etc", "/proc/sys/kernel/hostname"):
    attempt("writes in " + place, lambda: write(place))
attempt("is root", lambda: os.getuid() == 0)
print(json.dumps(found))
"""


def _ask(isolation: Isolation, run: Run) -> Outcome:
    worker = Worker(isolation, Limits(), ())
    try:
        worker.give(run)
        while (found := worker.take()) is None:
            select.select([worker], [], [], max(0.0, worker.deadline - time.monotonic()) + 0.01)
        return found
    finally:
        worker.end()


@contextmanager
def _listening() -> Iterator[int]:
    """A port of this machine where somebody listens; 9 where not even we may."""
    try:
        server = socket.create_server(("127.0.0.1", 0))
    except OSError:
        yield 9
        return
    with server:
        yield server.getsockname()[1]


@cache
def escapes(isolation: Isolation) -> tuple[str, ...]:
    """What a program reaches that it should not; ResourceError if no program runs at all. Tried once a process."""
    with (
        tempfile.NamedTemporaryFile("w", prefix="deltakit-probe-") as file,
        _listening() as port,
    ):
        file.write(SECRET)
        file.flush()
        names = {
            "NAME": SECRET, "FILE": file.name, "HOME": str(Path.home()), "PORT": port, "OURS": os.getpid()
        }  # fmt: skip
        text = "".join(f"{name} = {value!r}\n" for name, value in names.items()) + _ATTEMPTS
        os.environ[SECRET] = "1"
        try:
            found = _ask(isolation, Run(text, 10.0))
        finally:
            del os.environ[SECRET]
    if not found.ok:
        raise ResourceError(f"the sandbox ({isolation.kind}) runs no program: {found.status} {found.error}")
    reached: list[str] = json.loads(found.stdout)
    return tuple(reached)


@cache
def probe(kind: Kind) -> Isolation | str:
    """That isolation if it holds on this machine, else why not."""
    isolation = Isolation.of(kind)
    if isolation is None:
        return "not installed" if kind == "bubblewrap" else "not on this system"
    try:
        reached = escapes(isolation)
    except (ResourceError, OSError) as error:
        return str(error).partition("\n")[0]
    return f"a program {', '.join(reached)}" if reached else isolation


def available() -> Isolation | None:
    """The best isolation that holds here; None if there is none."""
    for kind in KINDS:
        found = probe(kind)
        if isinstance(found, Isolation):
            return found
    return None


def why_not() -> list[str]:
    """For each kind that does not hold, why."""
    return [f"{kind}: {found}" for kind in KINDS if isinstance(found := probe(kind), str)]
