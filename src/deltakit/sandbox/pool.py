"""Many programs at once: a worker per core, results in the order of the programs."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from deltakit.errors import RecipeError, UnsafeError
from deltakit.generate.play import Run
from deltakit.registry import did_you_mean
from deltakit.sandbox.isolation import Isolation
from deltakit.sandbox.layout import versions
from deltakit.sandbox.limits import Limits
from deltakit.sandbox.outcome import Outcome
from deltakit.sandbox.probe import available, why_not
from deltakit.sandbox.worker import Worker

__all__ = ["ALLOW", "Sandbox", "check_allowed", "open_sandbox"]

ALLOW = ("isolated", "unsafe")
IMPORTS = ("sympy",)


class Sandbox:
    """A pool of fork servers; they start with the first programs and stay until `close`. Not for several threads.

    `jobs`: programs at once (default: one per core). Programs see `imports` loaded and may import what
    `layout.PACKAGES` names; random numbers of `random` are seeded 0, hashes too.
    """

    def __init__(
        self, isolation: Isolation, limits: Limits | None = None, jobs: int = 0, imports: Sequence[str] = IMPORTS
    ) -> None:
        self.isolation, self.limits = isolation, limits or Limits()
        jobs = jobs or len(os.sched_getaffinity(0))
        self._workers = [Worker(isolation, self.limits, imports, i) for i in range(jobs)]

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all workers; the next `run` starts others."""
        for worker in self._workers:
            worker.end()

    def about(self) -> dict[str, Any]:
        """For results: the isolation with its version, and what the programs ran on."""
        return {"isolation": self.isolation.kind, "version": self.isolation.version, "programs": versions()}

    def run(self, programs: Sequence[Run], done: Callable[[int, Outcome], None] | None = None) -> list[Outcome]:
        """Their outcomes in their order; `done(index, outcome)` as each is known. After an error no worker is left."""
        out: list[Outcome | None] = [None] * len(programs)
        waiting = iter(range(len(programs)))
        busy: dict[Worker, int] = {}
        try:
            for worker, index in zip(self._workers, waiting, strict=False):
                worker.give(programs[index])
                busy[worker] = index
            while busy:
                for worker in _ready(busy):
                    found = worker.take()
                    if found is None:
                        continue
                    index = busy.pop(worker)
                    out[index] = found
                    if done is not None:
                        done(index, found)
                    following = next(waiting, None)
                    if following is not None:
                        worker.give(programs[following])
                        busy[worker] = following
        except BaseException:
            self.close()
            raise
        return [found for found in out if found is not None]


def _ready(busy: dict[Worker, int]) -> list[Worker]:
    """Workers that have something to say, or whose time is over; waits until there is one."""
    with selectors.DefaultSelector() as selector:
        for worker in busy:
            selector.register(worker, selectors.EVENT_READ)
        left = min(worker.deadline for worker in busy) - time.monotonic()
        heard = {key.fd for key, _ in selector.select(max(0.0, left) + 0.01)}
    now = time.monotonic()
    return [worker for worker in busy if worker.fileno() in heard or worker.deadline < now]


def check_allowed(allow: str) -> None:
    """RecipeError for what is neither "isolated" nor "unsafe"."""
    if allow not in ALLOW:
        raise RecipeError(f"code execution {allow!r}", remedy=did_you_mean(allow, list(ALLOW)))


def open_sandbox(allow: str = "isolated", *, limits: Limits | None = None, jobs: int = 0) -> Sandbox:
    """The best sandbox of this machine. UnsafeError where nothing isolates, unless `allow` is "unsafe": then programs
    run with limits on time, memory and files, and nothing else between them and this machine."""
    check_allowed(allow)
    found = available()
    if found is None and allow != "unsafe":
        raise UnsafeError(
            "programs that a model wrote are not run: nothing on this machine isolates them",
            details=why_not(),
            remedy="install bubblewrap, or allow user namespaces; to run them unprotected, allow it as unsafe",
        )
    isolation = found or Isolation.of("unsafe")
    assert isolation is not None
    return Sandbox(isolation, limits, jobs)
