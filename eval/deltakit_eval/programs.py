"""Programs that modes want run: in one sandbox, opened when the first comes; outcomes are remembered like answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any

from deltakit.generate.play import Run
from deltakit.manifest import digest
from deltakit.sandbox import Outcome, Sandbox, open_sandbox
from deltakit_eval.answers import Answers

__all__ = ["Programs"]


class Programs:
    """Called with a round's programs, it gives their outcomes. UnsafeError at the first program where nothing isolates,
    unless `allow` is "unsafe". To be used in a `with`: its processes end there."""

    def __init__(self, answers: Answers, allow: str = "isolated") -> None:
        self._answers, self._allow = answers, allow
        self._sandbox: Sandbox | None = None

    def __enter__(self) -> Programs:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._sandbox is not None:
            self._sandbox.close()

    def about(self) -> dict[str, Any] | None:
        """How programs were isolated, for results; None if none was run."""
        return None if self._sandbox is None else self._sandbox.about()

    def open(self) -> Sandbox:
        """The sandbox, opened now: better refused before hours of generation than after."""
        if self._sandbox is None:
            self._sandbox = open_sandbox(self._allow)
        return self._sandbox

    def __call__(self, programs: Sequence[Run]) -> list[Outcome]:
        """Outcomes in the order of `programs`; equal programs run once, and those that timed out again each time."""
        sandbox = self.open()
        about = sandbox.about()
        keys = [digest(["run", about, asdict(program)]) for program in programs]
        missing = {key: program for key, program in zip(keys, programs, strict=True) if key not in self._answers}
        found = dict(zip(missing, sandbox.run(list(missing.values())), strict=True))
        for key, outcome in found.items():
            if outcome.status in _SETTLED:
                self._answers.put(key, asdict(outcome))
        return [found[key] if key in found else Outcome(**self._answers.get(key)) for key in keys]


# What a program does by itself; the other endings may be the machine's doing.
_SETTLED = ("ok", "error")
