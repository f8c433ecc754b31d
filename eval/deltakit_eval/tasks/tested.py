"""How code tasks score: all responses of a task are run against their tests in one sandbox, as an lm-eval filter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from deltakit.generate.play import Run
from deltakit.grade.thinking import strip_thinking
from deltakit.sandbox import Outcome, open_sandbox
from deltakit.sandbox.unittests import PASSED, verdict, with_tests

__all__ = ["SECONDS", "passed", "runner", "running", "runs_programs", "tested", "trimmed"]

SECONDS = 20.0  # of wall time; the slowest of MBPP's own solutions takes 6 to 9 on a slow machine
Runner = Callable[[Sequence[Run]], Sequence[Outcome]]
_RUNNER: ContextVar[Runner | None] = ContextVar("runner", default=None)


@contextmanager
def running(run: Runner) -> Iterator[None]:
    """Programs of responses are run by `run`, not in a sandbox that is opened for them."""
    token = _RUNNER.set(run)
    try:
        yield
    finally:
        _RUNNER.reset(token)


def runner() -> Runner | None:
    """What runs programs now; None where nothing was named."""
    return _RUNNER.get()


def _outcomes(programs: Sequence[Run]) -> Sequence[Outcome]:
    run = runner()
    if run is not None:
        return run(programs)
    with open_sandbox() as sandbox:
        return sandbox.run(programs)


def _filter(name: str, trim: bool) -> Callable[..., list[list[str]]]:
    """A filter for lm-eval's "custom": each response of each document becomes "passed", or how it failed."""

    def apply(responses: Iterable[Iterable[str]], documents: Iterable[Mapping[str, Any]]) -> list[list[str]]:
        given = [list(texts) for texts in responses]
        items = [json.loads(doc["details"]) for doc in documents]
        programs = [
            Run(with_tests(item, strip_thinking(text).text, trim), SECONDS)
            for item, texts in zip(items, given, strict=True)
            for text in texts
        ]
        found = iter(_outcomes(programs))
        return [[verdict(next(found)) for _ in texts] for texts in given]

    apply.__name__ = apply.__qualname__ = name  # a configuration names a filter by module and name
    return apply


tested = _filter("tested", trim=False)
trimmed = _filter("trimmed", trim=True)


def passed(doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
    """pass@1: the code passed all tests of its item."""
    return {"pass@1": float(results[0] == PASSED)}


def runs_programs(task: Any) -> bool:
    """Will an lm-eval task want programs of a model run, on the way to its answers or to score them?"""
    mode = str((task.get_config("generation_kwargs") or {}).get("mode", ""))
    return mode.partition("(")[0].strip() in ("pot", "tir") or task.get_config("process_results") is passed
