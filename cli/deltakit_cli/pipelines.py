"""What `run` and `demo` share: steps through the same error boundary as any command, in this one process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from deltakit_cli import errors as boundary
from deltakit_cli.output import console, emit

if TYPE_CHECKING:
    from deltakit.pipeline import Outcome, Plan

__all__ = ["rehearse", "show_plan", "walk"]

_UNPROVEN = 6


def call(argv: Sequence[str]) -> int:
    """One command as the shell would run it: its errors told, its exit code given; imports are shared."""
    from deltakit_cli.main import cli

    return boundary.guarded(cli, list(argv))


def rehearse(plan: Plan, source: str) -> None:
    """RecipeError naming every step whose verb or options are wrong, before the first one runs."""
    from deltakit.errors import RecipeError

    wrong = [f"step {s.name!r}: {problem}" for s in plan.steps if (problem := _usage(s.argv))]
    if wrong:
        raise RecipeError(f"{source}: {len(wrong)} steps cannot run", details=wrong, remedy="see deltakit VERB --help")


def _usage(argv: Sequence[str]) -> str:
    """What click says against these words; empty if nothing."""
    from deltakit_cli.main import cli

    try:
        with cli.make_context("deltakit", list(argv)) as group:
            name, verb, rest = cli.resolve_command(group, list(argv))
            with verb.make_context(name, rest, parent=group):
                return ""
    except click.exceptions.Exit:
        return "--help and --version are no steps"
    except click.ClickException as error:
        return error.format_message()


def show_plan(plan: Plan, fmt: str) -> None:
    """The commands as they would run, with a remark where a step is finished."""
    from deltakit.pipeline.plan import shell_line
    from deltakit.pipeline.run import standing

    steps = [
        {"name": s.name, "argv": list(s.argv), "command": shell_line(s), "save": str(s.save) if s.save else None,
         "expect": s.expect, "finished": finished}
        for s, finished in zip(plan.steps, standing(plan), strict=True)
    ]  # fmt: skip
    emit({"pipeline": plan.title, "folder": str(plan.folder), "steps": steps}, _plan, fmt)


def _plan(result: Mapping[str, Any]) -> None:
    for step in result["steps"]:
        print(f"# {step['name']}{' (finished, would be skipped)' if step['finished'] else ''}\n{step['command']}\n")


def walk(plan: Plan, *, again: bool = False, fmt: str = "auto", hints: Sequence[str] = ()) -> int:
    """Run a plan, check its claims, tell all; the exit code. Only human output mixes the steps' stdout into ours."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when first imported, by whichever step comes first
    from deltakit.pipeline import check_claims, run_plan

    human = fmt in ("auto", "human")
    data = sys.stdout if human else sys.stderr
    outcome = run_plan(plan, call, again=again, show=lambda text: print(text, file=data, flush=True), data=data)
    if outcome.failed:
        return _failed(outcome, plan, fmt)
    verdicts = check_claims(plan.claims, plan.results) if plan.results else []
    broken = [v.say for v in verdicts if not v.holds]
    code = _UNPROVEN if broken else 0
    result = {
        "pipeline": plan.title, "folder": str(plan.folder), "steps": [vars(d) for d in outcome.steps],
        "claims": [vars(v) for v in verdicts], "code": code, "hints": list(hints),
    }  # fmt: skip
    emit(result, _human, fmt)
    if broken:
        boundary.say(f"{len(broken)} of {len(verdicts)} claims do not hold", details=tuple(broken))
    return code


def _failed(outcome: Outcome, plan: Plan, fmt: str) -> int:
    last = outcome.steps[-1]
    wanted = "" if outcome.failed is None or outcome.failed.expect == 0 else f", expected {outcome.failed.expect}"
    at = f"step {last.name!r} ({len(outcome.steps)} of {len(plan.steps)})"
    problem = f"pipeline stopped at {at}: exit code {last.code}{wanted}"
    boundary.say(problem, "put right what the error above says and run the same again; it goes on from there")
    result = {"pipeline": plan.title, "folder": str(plan.folder), "steps": [vars(d) for d in outcome.steps]}
    emit({**result, "claims": [], "code": outcome.code}, lambda _: None, fmt)
    return outcome.code


def _human(result: Mapping[str, Any]) -> None:
    out = console()
    ran = [d for d in result["steps"] if not d["skipped"]]
    out.print(f"\n{len(ran)} of {len(result['steps'])} steps ran, {sum(d['seconds'] for d in ran):.0f} s")
    for verdict in result["claims"]:
        mark = "holds" if verdict["holds"] else "DOES NOT HOLD"
        out.print(f"{mark}: {verdict['say']}\n    {verdict['found']}", markup=False)
    for hint in result["hints"]:
        out.print(hint, markup=False)
