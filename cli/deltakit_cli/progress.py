"""Progress on stderr: a bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["Bar", "Lines", "progress"]


class Bar:
    """A rich progress bar with bytes, rate and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar: Any = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(), TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task: Any = None

    def start(self, what: str, total: int, unit: str = "B") -> None:
        self._bar.start()
        self._task = self._bar.add_task(what, total=total, note="")

    def advance(self, n: int, note: str = "") -> None:
        self._bar.update(self._task, advance=n, note=note[-60:])

    def stop(self) -> None:
        self._bar.stop()


class Lines:
    """One line at the start and then every `every` seconds."""

    def __init__(self, every: float = 10.0) -> None:
        self._every, self._what, self._total, self._done, self._last = every, "", 0, 0, 0.0

    def start(self, what: str, total: int, unit: str = "B") -> None:
        self._what, self._total, self._done, self._last = what, total, 0, time.monotonic()

    def advance(self, n: int, note: str = "") -> None:
        self._done += n
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            share = 100 * self._done // max(1, self._total)
            print(f"{self._what}: {share}% {note}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        self._what = ""


def progress(fmt: str = "auto") -> Any:
    """The progress that fits the terminal; none when quiet."""
    from deltakit.checkpoint.pump import silent

    if fmt == "quiet":
        return silent
    return Bar() if sys.stderr.isatty() else Lines()
