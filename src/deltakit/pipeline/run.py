"""Running a plan: echo, run, record; skip what is finished; stop at the first command that fails."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from deltakit.checkpoint.disk import make_folder
from deltakit.checkpoint.lock import Lock
from deltakit.errors import InputError
from deltakit.pipeline.places import outputs_of
from deltakit.pipeline.plan import Plan, Step, shell_line
from deltakit.pipeline.state import Digests, Record, State, stamp

__all__ = ["Done", "Outcome", "Runner", "run_plan", "standing"]

Runner = Callable[[Sequence[str]], int]
WRONG_CODE = 6  # a command ended well where its failure was expected


@dataclass(frozen=True)
class Done:
    """One step after its turn; `code` is its exit code, `seconds` what it took when it ran."""

    name: str
    code: int
    seconds: float
    skipped: bool = False


@dataclass(frozen=True)
class Outcome:
    """All steps that had their turn; `failed` is the last of them where it stopped the pipeline."""

    steps: tuple[Done, ...]
    failed: Step | None = None
    code: int = 0


def run_plan(
    plan: Plan, runner: Runner, *, again: bool = False, show: Callable[[str], None] = print, data: TextIO | None = None
) -> Outcome:
    """Run every step that is not finished yet; with `again` all of them.

    `runner` takes the words of a command and gives its exit code, errors already told. What a command prints on stdout
    goes to its `save` file, else to `data` (default: stdout). A finished step is one whose command, inputs and versions
    are the same as when it ran, and whose outputs are unchanged. A step that runs a second time replaces its own
    outputs (`--overwrite` is added to its command); what something else wrote is left to the command, which refuses.
    """
    folder = Path(plan.folder).resolve()
    make_folder(folder)
    lock = Lock(folder / "pipeline")
    lock.take()
    try:
        turn = _Turn(State(plan.folder), Digests(), runner, again, show, data or sys.stdout)
        return turn.all(plan.steps)
    finally:
        lock.release()


def standing(plan: Plan) -> list[bool]:
    """Which steps are finished as things stand, for a dry run."""
    state, digests = State(plan.folder), Digests()
    return [state.finished(step.name, stamp(step, digests), digests) for step in plan.steps]


@dataclass(frozen=True)
class _Turn:
    """What every step needs when its turn comes."""

    state: State
    digests: Digests
    runner: Runner
    again: bool
    show: Callable[[str], None]
    data: TextIO

    def all(self, steps: Sequence[Step]) -> Outcome:
        done: list[Done] = []
        for number, step in enumerate(steps, 1):
            title = f"[{number}/{len(steps)}] {step.name}"
            done.append(self.one(step, title))
            if done[-1].code != step.expect:
                return Outcome(tuple(done), step, done[-1].code or WRONG_CODE)
        return Outcome(tuple(done))

    def one(self, step: Step, title: str) -> Done:
        """Skip or run one step."""
        wanted, before = stamp(step, self.digests), self.state.get(step.name)
        if not self.again and before and self.state.finished(step.name, wanted, self.digests):
            self.show(f"# {title}: finished before, skipped")
            return Done(step.name, step.expect, before.seconds, skipped=True)
        written = outputs_of(step.argv) + ([step.save] if step.save else [])
        stands = [path for path in written if _stands(path)]
        may = self.again or not stands or self.state.owns(step.name, written, self.digests)
        ready = _ready(step, stands, may)
        self.show(f"\n# {title}\n$ {shell_line(ready)}")
        if may:  # killed from here on, the next run may replace what this one leaves
            self.state.put(step.name, Record(wanted))
        began = time.monotonic()
        code = _call(ready, self.runner, self.data)
        seconds = round(time.monotonic() - began, 3)
        self.show(f"# {seconds:.1f} s")
        made = {str(p): self.digests.of(p) for p in written} if code == step.expect else None
        self.state.put(step.name, Record(wanted, made, seconds) if made is not None else before)
        return Done(step.name, code, seconds)


def _ready(step: Step, stands: Sequence[Path], may: bool) -> Step:
    """The step with --overwrite where it replaces what it wrote before."""
    if step.save in stands and not may:
        raise InputError(f"{step.save} exists and is not from this step", remedy="move it, or pass --overwrite")
    replaces = may and any(path != step.save for path in stands)
    return step.with_words("--overwrite") if replaces and "--overwrite" not in step.argv else step


def _stands(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _call(step: Step, runner: Runner, data: TextIO) -> int:
    """Run one command with its stdout where it belongs; a file appears whole, and only when the command is right."""
    if step.save is None:
        with contextlib.redirect_stdout(data):
            code = runner(step.argv)
        data.flush()  # before the next command is echoed, and before errors that go elsewhere
        return code
    make_folder(step.save.parent)
    fresh = step.save.with_name(f".{step.save.name}.new")
    with fresh.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        code = runner(step.argv)
    if code == step.expect:
        os.replace(fresh, step.save)
    else:
        fresh.unlink()
    return code
