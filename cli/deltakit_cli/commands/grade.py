"""`deltakit grade`: score existing outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table

EXAMPLE = """deltakit grade --task gsm8k outputs.jsonl
deltakit grade --task gsm8k outputs.jsonl --grader metamath
deltakit grade --task math500 outputs.jsonl --grader symbolic --diff exact --format json"""


@click.command(epilog=example(EXAMPLE))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", required=True, help="Which task the outputs answer: gsm8k, gsm8k_backward, math, math500, ...")
@click.option("--grader", default="exact", show_default=True, help="exact, metamath or symbolic, with its parameters.")
@click.option(
    "--diff", metavar="GRADER", help="List what this grader judges differently.  [default: exact, for others]"
)
@click.option("--no-diff", is_flag=True, help="Compare with no other grader.")
@click.option("--field", default="completion", show_default=True, help="The field that holds the output.")
@format_option
def command(file: Path, task: str, grader: str, diff: str | None, no_diff: bool, field: str, fmt: str) -> None:
    """Score model outputs in FILE (JSON lines, or the samples that lm-eval logged).

    Each line holds "completion", and "gold" or the task's own answer field.
    """
    from deltakit.grade.score import grade_file

    other = None if no_diff else diff or ("exact" if grader != "exact" else None)
    emit(grade_file(file, task, grader, other, field), _human, fmt)


def _human(result: Mapping[str, Any]) -> None:
    print(f"{result['task']}  {result['file']}  grader {result['grader']}")
    print(_accuracy(result))
    found = ", ".join(f"{how} {n}" for how, n in result["found_by"].items())
    print(f"answers found by: {found or 'none'}")
    if result["no_answer"]:
        print(f"no answer found: {len(result['no_answer'])}, lines {_some(result['no_answer'])}")
    for note, n in result["notes"].items():
        print(f"{note}: {n}")
    if "differ" in result:
        _differences(result)


def _accuracy(result: Mapping[str, Any]) -> str:
    low, high = result["interval"]
    spread = "" if result["stderr"] is None else f" ± {100 * result['stderr']:.2f} (standard error)"
    return (
        f"accuracy {100 * result['accuracy']:.2f} %{spread}, "
        f"95 % interval {100 * low:.2f} to {100 * high:.2f}, {result['correct']} of {result['n']}"
    )


def _some(lines: list[int], most: int = 20) -> str:
    shown = ", ".join(map(str, lines[:most]))
    return shown if len(lines) <= most else f"{shown} and {len(lines) - most} more"


def _differences(result: Mapping[str, Any]) -> None:
    one, other, items = result["grader"], result["other_grader"], result["differ"]
    print(f"\n{other}: {100 * result['other_accuracy']:.2f} %; {len(items)} judged differently")
    if items:
        rows = [
            [
                i["line"],
                i["gold"],
                _judged(i["answer"], i["correct"]),
                _judged(i["other_answer"], i["other_correct"]),
            ]
            for i in items
        ]
        console().print(table(["line", "gold", one, other], rows))


def _judged(answer: str | None, correct: bool) -> str:
    return f"{'none' if answer is None else answer} ({'right' if correct else 'wrong'})"
