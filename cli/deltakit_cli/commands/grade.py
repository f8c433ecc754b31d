"""`deltakit grade`: score existing outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table

LISTED = 100  # rows of a table on the screen
EXAMPLE = """deltakit grade --task gsm8k outputs.jsonl
deltakit grade --task gsm8k outputs.jsonl --grader metamath
deltakit grade --task math500 outputs.jsonl --explain wrong
deltakit grade --task gsm8k many.jsonl --field a.solution --field b.solution --gold truth --label is_correct"""


@click.command(epilog=example(EXAMPLE))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", required=True, help="Which task the outputs answer: gsm8k, gsm8k_backward, math, math500, ...")
@click.option(
    "--grader",
    help="exact, metamath or symbolic, with its parameters.  [default: symbolic for expressions, else exact]",
)
@click.option(
    "--diff", metavar="GRADER", help="List what this grader judges differently.  [default: exact, for others]"
)
@click.option("--no-diff", is_flag=True, help="Compare with no other grader.")
@click.option(
    "--field", "fields", multiple=True, default=["completion"], show_default=True,
    help="The field that holds the output; dots lead inside. Repeat it to score several.",
)  # fmt: skip
@click.option(
    "--gold", default="", metavar="FIELD", help="The field with the gold answer.  [default: gold, or the task's]"
)
@click.option("--label", default="", metavar="FIELD", help="A stored verdict (true or false) to compare with.")
@click.option("--explain", type=click.Choice(["wrong", "all"]), help="List items, each with why it was judged so.")
@format_option
def command(
    file: Path, task: str, grader: str | None, diff: str | None, no_diff: bool, fields: tuple[str, ...], gold: str,
    label: str, explain: str | None, fmt: str,
) -> None:  # fmt: skip
    """Score model outputs in FILE: JSON lines, samples that lm-eval logged, or what deltakit eval wrote.

    Each line holds "completion", and "gold" or the task's own answer field.
    """
    from deltakit.grade.score import default_grader, grade_file

    used = grader or default_grader(task)
    other = None if no_diff else diff or ("exact" if used != "exact" else None)
    result = grade_file(file, task, used, other, fields, gold=gold, label=label, explain=explain is not None)
    if explain == "wrong":
        for column in _columns(result):
            column["items"] = [item for item in column["items"] if not item["correct"]]
    emit(result, _human, fmt)


def _columns(result: Mapping[str, Any]) -> list[Any]:
    return list(result["columns"]) if "columns" in result else [result]


def _human(result: Mapping[str, Any]) -> None:
    print(f"{result['task']}  {result['file']}  grader {result['grader']}")
    columns = _columns(result)
    for column in columns:
        if len(columns) > 1:
            print(f"\n{column['field']}")
        _column({**column, "grader": result["grader"]})


def _column(result: Mapping[str, Any]) -> None:
    print(_accuracy(result))
    found = ", ".join(f"{how} {n}" for how, n in result["found_by"].items())
    print(f"answers found by: {found or 'none'}")
    if result["no_answer"]:
        print(f"no answer found: {len(result['no_answer'])}, lines {_some(result['no_answer'])}")
    if result["drawn"] > 1:
        print(f"{result['drawn']} answers were drawn for an item; the first is graded")
    for note, n in result["notes"].items():
        print(f"{note}: {n}")
    if "labels" in result:
        _labels(result)
    if "differ" in result:
        _differences(result)
    if "items" in result:
        _items(result["items"])


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


def _labels(result: Mapping[str, Any]) -> None:
    labels = result["labels"]
    print(f"stored verdicts: {labels['right']} right; {labels['agree']} of {result['n']} are judged the same here")
    if labels["differ"]:
        rows = [
            [i["line"], i["gold"], _judged(i["answer"], i["correct"]), "right" if i["label"] else "wrong", i["why"]]
            for i in labels["differ"]
        ]
        _listed(["line", "gold", result["grader"], "stored", "why"], rows)


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
        _listed(["line", "gold", one, other], rows)


def _items(items: list[Mapping[str, Any]]) -> None:
    rows = [
        [
            i["line"],
            i["gold"],
            "none" if i["answer"] is None else i["answer"],
            "right" if i["correct"] else "wrong",
            i["why"],
        ]
        for i in items
    ]
    print()
    _listed(["line", "gold", "answer", "verdict", "why"], rows)


def _listed(columns: list[str], rows: list[list[Any]]) -> None:
    console().print(table(columns, rows[:LISTED]))
    if len(rows) > LISTED:
        print(f"and {len(rows) - LISTED} more (--format json lists all)")


def _judged(answer: str | None, correct: bool) -> str:
    return f"{'none' if answer is None else answer} ({'right' if correct else 'wrong'})"
