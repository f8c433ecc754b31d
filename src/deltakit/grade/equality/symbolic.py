r"""The program behind `worker.Worker`: compares two answers by algebra (math-verify), in a child it can kill.

Algebra on what a model wrote may never end or eat all memory (10^{10^{10}}), and no signal stops it for sure. This
process loads math-verify once and forks; the fork answers requests until one takes too long, is killed, and the next is
forked in milliseconds. A request is a JSON line {"answer", "gold", "seconds"}; a reply is {"same": bool, "why": ""}, or
why there is no verdict: "timeout", "crash" or "error: ...".
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import select
import signal
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["compare", "main"]

MEMORY = 4 << 30  # bytes of address space a child may take


def compare(answer: str, gold: str) -> bool:
    """Do two answers (LaTeX, without the $) denote the same object? Without any limit of time."""
    from math_verify import parse, verify

    wanted, given = (parse(f"${text.strip().strip('$')}$", parsing_timeout=None) for text in (gold, answer))
    return bool(verify(wanted, given, timeout_seconds=None))


def _reply(request: dict[str, Any]) -> dict[str, Any]:
    # Also the child's own clock, should the parents die: CPU time so far, plus what this request may take.
    spent = resource.getrusage(resource.RUSAGE_SELF)
    ceiling = int(spent.ru_utime + spent.ru_stime + request["seconds"]) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (ceiling, resource.RLIM_INFINITY))
    try:
        return {"same": compare(request["answer"], request["gold"]), "why": ""}
    except Exception as error:  # a parser fed with arbitrary text: any failure means "not shown to be equal"
        return {"same": False, "why": f"error: {type(error).__name__}"}


def _serve(requests: int, replies: int) -> None:
    """The child: one reply a request, until the pipe closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with os.fdopen(requests, "rb") as lines:
        for line in lines:
            os.write(replies, json.dumps(_reply(json.loads(line))).encode() + b"\n")


@dataclass(frozen=True)
class _Child:
    """A fork and the two pipes to it."""

    pid: int
    requests: int
    replies: int

    def ask(self, line: bytes, seconds: float) -> bytes | str:
        """Its reply, or why there is none."""
        os.write(self.requests, line)
        ready, _, _ = select.select([self.replies], [], [], seconds)
        return os.read(self.replies, 4096) or "crash" if ready else "timeout"

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.requests)
        os.close(self.replies)


def _fork() -> _Child:
    down, up = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(down[1])
        os.close(up[0])
        try:
            _serve(down[0], up[1])
        finally:
            os._exit(0)
    os.close(down[0])
    os.close(up[1])
    return _Child(pid, down[1], up[0])


def _own_output() -> int:
    """Our replies' way out; what libraries print goes nowhere, where it could be taken for a reply."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return kept


def _say(out: int, reply: dict[str, Any]) -> None:
    os.write(out, json.dumps(reply).encode() + b"\n")


def main() -> int:
    """Say "ready" once math-verify is loaded, then answer until the input closes."""
    logging.disable(logging.CRITICAL)
    out = _own_output()
    try:
        import math_verify  # noqa: F401
    except ImportError as error:
        _say(out, {"ready": False, "why": str(error)})
        return 3
    with contextlib.suppress(Exception):
        compare(r"\frac{1}{2}x", "x")  # the first parse fills tables that every fork then has
    child = _fork()
    _say(out, {"ready": True, "why": ""})
    for text in sys.stdin:
        said = child.ask(text.encode(), json.loads(text)["seconds"])
        if isinstance(said, str):
            child.kill()
            child = _fork()
        _say(out, {"same": False, "why": said} if isinstance(said, str) else json.loads(said))
    child.kill()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
