"""A process that compares answers by algebra, held ready and reused, with a hard limit on the time of each answer."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass
from functools import cache
from typing import Any

from deltakit.errors import InputError

__all__ = ["Compared", "Worker", "shared_worker"]

START = 60.0  # seconds the process may take to load its library
LONGEST = 2000  # characters of an answer that are worth parsing
GRACE = 10.0  # seconds beyond an item's own limit before the process itself counts as stuck


@dataclass(frozen=True)
class Compared:
    """The verdict; `why` is "" for one that was reached, else "timeout", "crash", "junk", "too long", "error: ..."."""

    same: bool
    why: str


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its child, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


class Worker:
    """Starts the process on the first question, restarts it when it dies; `close` (or the end of Python) ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Any = None

    def same(self, answer: str, gold: str, seconds: float = 5.0) -> Compared:
        """Are the two algebraically equal? What is not shown to be equal within `seconds` is not equal, and says so."""
        if max(len(answer), len(gold)) > LONGEST:
            return Compared(False, "too long")
        process = self._process or self._start()
        request = {"answer": answer, "gold": gold, "seconds": seconds}
        try:
            reply = self._ask(process, json.dumps(request).encode() + b"\n", seconds + GRACE)
            if reply is not None:
                return Compared(reply["same"] is True, str(reply["why"]))
            why = "timeout" if process.poll() in (None, -signal.SIGKILL) else "crash"
        except BrokenPipeError:
            why = "timeout" if process.poll() in (None, -signal.SIGKILL) else "crash"
        except (ValueError, KeyError, TypeError):  # what it said is no reply
            why = "junk"
        self.close()
        return Compared(False, why)

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self._process is not None:
            self._end()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "deltakit.grade.equality.symbolic"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True,
        )  # fmt: skip
        self._process, self._end = process, weakref.finalize(self, _stop, process)
        hello = self._hello(process)
        if not hello.get("ready"):
            self.close()
            why = hello.get("why", "it does not start")
            raise InputError(
                f"symbolic grading needs math-verify: {why}",
                remedy='pip install "math-verify[antlr4-11-0]", or use the grader "exact"',
            )
        return process

    def _hello(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        with contextlib.suppress(ValueError, BrokenPipeError):
            return self._ask(process, b"", START) or {}
        return {}

    @staticmethod
    def _ask(process: subprocess.Popen[bytes], line: bytes, seconds: float) -> dict[str, Any] | None:
        """The reply to a line, or None when none comes in time; ValueError for what is none."""
        if process.stdin is None or process.stdout is None:
            return None
        process.stdin.write(line)
        said, end = b"", time.monotonic() + seconds
        while not said.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
            if not piece:
                return None
            said += piece
        reply = json.loads(said)
        if not isinstance(reply, dict):
            raise ValueError("no reply")
        return reply


@cache
def shared_worker() -> Worker:
    """The one worker of this Python process."""
    return Worker()
