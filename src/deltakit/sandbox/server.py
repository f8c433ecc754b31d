"""The fork server inside the sandbox: it loads what programs need once, and forks a child for each program.

Stands alone (standard library only): it is bound into the sandbox as a file and run there by a bare Python, as
process 1 of its namespace. Messages are a length of 4 bytes and JSON, on the pipes that it finds as 0 and 1; no child
has them. The child proves that its program ran to the end by a nonce that it writes on a pipe of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import math
import os
import resource
import select
import shutil
import signal
import stat
import sys
import time
import types
from typing import Any

_DUMPABLE = 4  # prctl: 0 keeps a child from reading or tracing this process
_WATCH = 0.05  # seconds between two looks at memory
_VERDICT = 8192  # bytes of a verdict at most


def receive() -> dict[str, Any] | None:
    """The next message, None when the other side is gone."""
    head = _exactly(4)
    body = None if head is None else _exactly(int.from_bytes(head, "big"))
    message: dict[str, Any] | None = None if body is None else json.loads(body)
    return message


def _exactly(count: int) -> bytes | None:
    found = b""
    while len(found) < count:
        part = os.read(0, count - len(found))
        if not part:
            return None
        found += part
    return found


def send(message: dict[str, Any]) -> None:
    """One message to the other side."""
    body = json.dumps(message).encode()
    data = memoryview(len(body).to_bytes(4, "big") + body)
    while data:
        data = data[os.write(1, data) :]


def last_line(error: BaseException) -> str:
    """The last line of a traceback: "NameError: name 'x' is not defined"."""
    try:
        said = str(error)
    except BaseException:  # an exception of the program's own making may do anything
        said = ""
    name = type(error).__name__
    return (f"{name}: {said}" if said else name)[:1000]


def execute(text: str) -> tuple[str, str]:
    """(status, error) of a program, run as module __main__ of this process."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    try:
        exec(compile(text, "<program>", "exec"), module.__dict__)
        sys.stdout.flush()
    except SystemExit as error:
        return "exited", last_line(error)
    except MemoryError as error:
        return "memory", last_line(error)
    except BaseException as error:
        return "error", last_line(error)
    return "ok", ""


def bound(limits: dict[str, int], seconds: float) -> None:
    """Hard limits on this process and what it starts."""
    cpu = math.ceil(seconds) + 1
    for kind, most in (
        (resource.RLIMIT_AS, limits["memory"]), (resource.RLIMIT_FSIZE, limits["file"]), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, limits["files"]), (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_CPU, cpu),
    ):  # fmt: skip
        ceiling = resource.getrlimit(kind)[1]
        most = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        resource.setrlimit(kind, (most, most))


def child(job: dict[str, Any], limits: dict[str, int], nonce: bytes, out: int, verdict: int) -> None:
    """Run one program in this forked process, and end the process."""
    own = os.getpid()
    try:
        os.setsid()
        empty = os.open("/dev/null", os.O_RDWR)
        for target, source in ((0, empty), (1, out), (2, empty)):
            os.dup2(source, target)
        kept = os.dup2(verdict, limits["files"] - 1)
        os.closerange(3, kept)
        os.closerange(kept + 1, 1 << 16)
        bound(limits, job["seconds"])
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), encoding="utf-8")
        for name, fd in (("stdout", 1), ("stderr", 2)):
            buffer = io.BufferedWriter(io.FileIO(fd, "w"))
            setattr(sys, name, io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace"))
        if "random" in sys.modules:
            sys.modules["random"].seed(0)
        status, error = execute(job["program"])
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        if os.getpid() == own:  # else a child of the program, which came out of it by the same door
            os.write(kept, nonce + json.dumps([status, error]).encode())
    finally:
        os._exit(0)


class Server:
    """One program after another. `jailed`: this is process 1 of a namespace, and may end all others in it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.limits: dict[str, int] = settings["limits"]
        self.folder: str = settings["folder"]
        self.jailed = bool(settings["jailed"]) and os.getpid() == 1

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Fork, wait, end all that is left, say what happened. SystemExit when the other side is gone."""
        began = time.monotonic()
        nonce = os.urandom(16).hex().encode()
        out, out_child = os.pipe()
        verdict, verdict_child = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(job, self.limits, nonce, out_child, verdict_child)
        for fd in (out_child, verdict_child):
            os.close(fd)
        for fd in (out, verdict):
            os.set_blocking(fd, False)
        printed = bytearray()
        over = self._wait(pid, out, printed, began + job["seconds"])
        code = self._end_all(pid)
        self._drain(out, printed)
        found = _read(verdict, _VERDICT)
        os.close(out)
        os.close(verdict)
        status, error = over or judge(found, nonce, code)
        self.clean()
        return {
            "stdout": printed.decode("utf-8", "replace"), "error": error, "status": status,
            "seconds": time.monotonic() - began,
        }  # fmt: skip

    def _wait(self, pid: int, out: int, printed: bytearray, deadline: float) -> tuple[str, str] | None:
        """Until the program ends (None) or is over a limit (status, error)."""
        ended = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(out, select.POLLIN)
        poll.register(0, 0)  # only to hear that the other side is gone
        looked = 0.0
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return "timeout", "over the time limit"
                ready = dict(poll.poll(1000 * min(left, _WATCH)))
                if 0 in ready:
                    self._end_all(pid)
                    raise SystemExit(0)
                if ended in ready:
                    return None
                if out in ready and not self._drain(out, printed):
                    poll.unregister(out)
                if time.monotonic() - looked >= _WATCH:  # by the clock: a program that prints on must not put it off
                    if resident() > self.limits["memory"]:
                        return "memory", "over the memory limit with all its processes"
                    looked = time.monotonic()
        finally:
            os.close(ended)

    def _drain(self, out: int, printed: bytearray) -> bool:
        """Take what was printed, keep it up to the limit; False once no process has the other end."""
        for _ in range(64):  # a program that prints for ever must not keep us from the clock
            part = _read(out, 1 << 16)
            if not part:
                return part is None
            printed += part[: max(0, self.limits["output"] - len(printed))]
        return True

    def _end_all(self, pid: int) -> int:
        """Kill the program and all that it started, reap them; the program's wait status."""
        code = 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1 if self.jailed else -os.getpgid(pid), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                gone, status = os.waitpid(-1 if self.jailed else pid, 0)
                code = status if gone == pid else code
        return code

    def clean(self) -> None:
        """Empty the folder for the next program; a folder that will not be emptied ends the server, and itself."""
        with contextlib.suppress(PermissionError):  # where it is not ours it was not the program's to change
            os.chmod(self.folder, 0o1777 if self.jailed else stat.S_IRWXU)
        with os.scandir(self.folder) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    _open_up(entry.path)
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def _open_up(folder: str) -> None:
    """Give back the rights that a program took from its own folders."""
    os.chmod(folder, stat.S_IRWXU)
    for place, inner, _ in os.walk(folder):
        for name in inner:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                os.chmod(path, stat.S_IRWXU)


def _read(fd: int, most: int) -> bytes | None:
    """What is there; b"" at the end; None while there is nothing."""
    try:
        return os.read(fd, most)
    except BlockingIOError:
        return None


def judge(found: bytes | None, nonce: bytes, code: int) -> tuple[str, str]:
    """(status, error) from what the child wrote and how it ended; no nonce, no verdict."""
    if os.WIFSIGNALED(code) and os.WTERMSIG(code) == signal.SIGXCPU:
        return "timeout", "over the limit of processor time"
    if found and found.startswith(nonce):
        with contextlib.suppress(ValueError, TypeError):
            status, error = json.loads(found[len(nonce) :])
            return str(status), str(error)
    if os.WIFSIGNALED(code):
        return "killed", f"ended by {signal.Signals(os.WTERMSIG(code)).name}"
    return "exited", f"left with exit code {os.waitstatus_to_exitcode(code)} before its end"


def resident() -> int:
    """Bytes that the others in this namespace hold beside pages of files, shared ones by each; 0 where none is seen."""
    total, own = 0, os.getpid()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc") if own == 1 else ():
            if name.isdigit() and int(name) != own:
                with contextlib.suppress(OSError), open(f"/proc/{name}/status", "rb") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith((b"RssAnon:", b"RssShmem:")))
    return total * 1024


def become(uid: int | None) -> None:
    """Give up root for a user of no rights, if one is named."""
    if uid is not None:
        os.chmod("/tmp", 0o1777)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def main() -> None:
    """Settle in, load the packages, say hello, serve until the other side goes."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what process 1 does not handle cannot reach it from inside
    become(settings["uid"])
    sys.path[:] = [p for p in sys.path if p != os.path.dirname(os.path.abspath(__file__))]
    from_here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seccomp.py")
    seccomp = types.ModuleType("seccomp")
    with open(from_here, encoding="utf-8") as file:
        exec(compile(file.read(), from_here, "exec"), seccomp.__dict__)
    filtered = bool(seccomp.deny_calls())
    ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)
    os.chdir(settings["folder"])
    sys.path.append(settings["site"])
    sys.setrecursionlimit(1000)
    for name in ("random", "math", "fractions", "collections", "itertools", "re", "datetime", *settings["imports"]):
        __import__(name)
    server = Server(settings)
    gc.collect()
    gc.freeze()
    send({"ready": True, "filtered": filtered, "jailed": server.jailed})
    while (job := receive()) is not None:
        send(server.run(job))


if __name__ == "__main__":
    main()
