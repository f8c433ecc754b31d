"""One fork server from outside: start it, give it a program, take its reply, end it and all that lives in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from typing import Any, BinaryIO

from deltakit.errors import ResourceError
from deltakit.generate.play import Run
from deltakit.sandbox.isolation import Isolation
from deltakit.sandbox.limits import Limits
from deltakit.sandbox.outcome import Outcome, outcome_of

__all__ = ["GRACE", "START", "Worker"]

START = 120.0  # seconds to load the packages
GRACE = 10.0  # seconds beyond a program's own time before the server itself counts as stuck
_ESCAPED, _MARGIN = 6, 1 << 16  # bytes of a character in JSON at most; of a reply beside its output


class Worker:
    """Not yet started until `give`; one program at a time. `fileno` is for a selector: readable when a reply comes."""

    def __init__(self, isolation: Isolation, limits: Limits, imports: Sequence[str], number: int = 0) -> None:
        self.isolation, self.limits, self.imports, self.number = isolation, limits, tuple(imports), number
        self.hello: dict[str, Any] = {}
        self.deadline = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._run: Run | None = None
        self._heard = b""
        self._end: Any = None

    def fileno(self) -> int:
        """The pipe that replies come on."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def give(self, run: Run) -> None:
        """Hand over a program, starting the server if there is none."""
        self._run = run
        if self._process is None:
            self._start()
        if self.hello:
            self._send()

    def take(self) -> Outcome | None:
        """What is known now: None while there is no reply. After an outcome the worker is free."""
        assert self._run is not None
        if time.monotonic() > self.deadline:
            return self._lost("timeout", "the sandbox did not answer and was ended")
        try:
            message = self._hear()
            if message is None:
                return None
            if not self.hello:
                if message.get("ready") is not True or message.get("jailed") is not self.isolation.safe:
                    raise ValueError("not a greeting")
                self.hello = message
                self._send()
                return None
            found = outcome_of(message)
        except (ValueError, OSError) as error:
            if not self.hello:
                raise ResourceError(
                    f"the sandbox ({self.isolation.kind}) does not start: {self.end() or error}",
                    remedy="deltakit doctor says what works here",
                ) from None
            return self._lost("killed", "the sandbox ended")
        self._run = None
        return found

    def end(self) -> str:
        """Kill the server with its namespace; the last that it said of itself."""
        self.hello, self._heard, self._run = {}, b"", None
        if self._process is None:
            return ""
        said = self._end() or ""
        self._process = None
        return str(said)

    def _lost(self, status: Any, why: str) -> Outcome:
        seconds = self._run.seconds if self._run is not None else 0.0
        self.end()
        return Outcome("", why, status, seconds)

    def _start(self) -> None:
        folder = "" if self.isolation.safe else tempfile.mkdtemp(prefix="deltakit-unsafe-")
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed by `_end`
        process = subprocess.Popen(
            self.isolation.command(self.number, self.limits, self.imports, folder),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, bufsize=0, cwd=folder or "/",
            env=self.isolation.environment(folder), start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._process, self.hello, self._heard = process, {}, b""
        self._end = weakref.finalize(self, _end, process, complaints, folder)
        self.deadline = time.monotonic() + START

    def _send(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._run is not None
        self.deadline = time.monotonic() + self._run.seconds + GRACE
        body = json.dumps({"program": self._run.program, "seconds": self._run.seconds}).encode()
        with contextlib.suppress(BrokenPipeError):  # it is gone: `take` will find out
            self._process.stdin.write(len(body).to_bytes(4, "big") + body)

    def _hear(self) -> dict[str, Any] | None:
        """A whole message, or None while there is none; ValueError at the end of the pipe and for nonsense."""
        while True:
            try:
                part = os.read(self.fileno(), 1 << 16)
            except BlockingIOError:
                return None
            if not part:
                raise ValueError("it ended")
            self._heard += part
            length = int.from_bytes(self._heard[:4], "big")
            if length > _ESCAPED * self.limits.output + _MARGIN:
                raise ValueError("a reply too long")
            if len(self._heard) >= 4 + length > 4:
                body, self._heard = self._heard[4 : 4 + length], self._heard[4 + length :]
                message = json.loads(body)
                if not isinstance(message, dict):
                    raise ValueError("a reply that is no object")
                return message


def _end(process: subprocess.Popen[bytes], complaints: BinaryIO, folder: str) -> str:
    """Kill and reap; the last line it wrote to its error output."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(PermissionError):
        process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
    complaints.seek(0)
    said = complaints.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
    complaints.close()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    return said[-1] if said else ""
