"""The one place that owns threads: ordered work with a bounded number in flight, prefetch, and progress."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol, TypeVar

__all__ = ["Progress", "Shared", "cores", "pump", "silent"]

T = TypeVar("T")
R = TypeVar("R")


class Progress(Protocol):
    """What long work tells about itself. `advance` is called from one thread at a time."""

    def start(self, what: str, total: int, unit: str = "B") -> None:
        """Work begins: `total` units of it."""
        ...

    def advance(self, n: int, note: str = "") -> None:
        """`n` more units are done; `note` names the thing in hand."""
        ...

    def stop(self) -> None:
        """Work ended, well or not."""
        ...


class _Silent:
    def start(self, what: str, total: int, unit: str = "B") -> None:
        """Nothing."""

    def advance(self, n: int, note: str = "") -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


silent: Progress = _Silent()


class Shared:
    """A Progress that several threads may advance."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def start(self, what: str, total: int, unit: str = "B") -> None:
        """Pass on."""
        self._inner.start(what, total, unit)

    def advance(self, n: int, note: str = "") -> None:
        """Pass on, one thread at a time."""
        with self._lock:
            self._inner.advance(n, note)

    def stop(self) -> None:
        """Pass on."""
        self._inner.stop()


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pump(
    items: Iterable[T],
    work: Callable[[T], R],
    *,
    threads: int = 0,
    prefetch: Callable[[T], Any] | None = None,
    stop: threading.Event | None = None,
    ahead: int = 1,
) -> Generator[tuple[T, R], None, None]:
    """(item, work(item)) in the items' order; at most `threads` + `ahead` items are in hand at any time: more than 1
    lets work go on while the caller is busy with a result, where results are small.

    `threads` 0 means one per core; 1 works in the caller's thread. `prefetch` is called with an item
    while those before it are still in work. On an error or an interrupt nothing new is begun, running
    work is waited for, and the exception passes on; `stop` is set then, so that work may look and end early.
    """
    threads = threads or cores()
    if threads == 1:
        return _inline(items, work, prefetch)
    return _threaded(items, work, threads, prefetch, stop or threading.Event(), ahead)


def _inline(
    items: Iterable[T], work: Callable[[T], R], prefetch: Callable[[T], Any] | None
) -> Generator[tuple[T, R], None, None]:
    source = iter(items)
    ahead = deque(islice(source, 1))
    while ahead:
        item = ahead.popleft()
        for following in islice(source, 1):
            ahead.append(following)
            if prefetch:
                prefetch(following)
        yield item, work(item)


def _threaded(
    items: Iterable[T],
    work: Callable[[T], R],
    threads: int,
    prefetch: Callable[[T], Any] | None,
    stop: threading.Event,
    ahead: int,
) -> Generator[tuple[T, R], None, None]:
    source = iter(items)
    running: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="deltakit")
    try:
        while True:
            for item in islice(source, threads + ahead - len(running)):
                if prefetch:
                    prefetch(item)
                running.append((item, pool.submit(work, item)))
            if not running:
                return
            item, future = running.popleft()
            yield item, future.result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
