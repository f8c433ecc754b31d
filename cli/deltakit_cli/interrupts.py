"""Interrupts: the first one stops the work and keeps what is done; a second one ends the process there and then."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["heeded"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE = b"error: interrupted twice: ended at once; run it again to resume\n"


@contextmanager
def heeded() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt once; the next of either ends the process with 130 (os._exit: threads
    that are busy are not waited for). A signal that is ignored stays ignored. Forked processes have the defaults."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner, seen = os.getpid(), list[int]()

    def heed(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif seen:
            os.write(2, _AT_ONCE)
            os._exit(130)
        else:
            seen.append(number)
            raise KeyboardInterrupt

    before = {n: old for n in _SIGNALS if (old := signal.getsignal(n)) not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
