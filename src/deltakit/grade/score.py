"""Scores of existing outputs: accuracy with its error bar, what failed and why, and where two graders differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deltakit.errors import RecipeError
from deltakit.grade.abstain import marked_abstains
from deltakit.grade.graders import GRADERS, MetaMath, Symbolic, Verdict
from deltakit.grade.interval import wilson
from deltakit.grade.numbers import parse_number
from deltakit.grade.outputs import Column, Item, read_columns
from deltakit.grade.tasks import COMPLETION_FIELD, Task, find_task
from deltakit.grade.thinking import strip_thinking

__all__ = ["accuracy", "default_grader", "grade_file"]


def default_grader(task: str) -> str:
    """What a task is graded with unless something else is asked for: expressions by value too, the rest exactly."""
    return "symbolic" if find_task(task).form == "math" else "exact"


def accuracy(correct: int, n: int) -> dict[str, Any]:
    """Share of n >= 1 that is correct, its standard error (sample deviation / sqrt(n)) and the 95 % Wilson interval."""
    p = correct / n
    stderr = math.sqrt(p * (1 - p) / (n - 1)) if n > 1 else None
    return {"accuracy": p, "stderr": stderr, "interval": list(wilson(correct, n))}


def _near(verdict: Verdict, gold: str, task: Task) -> Verdict:
    """A number that the task allows to be a little off."""
    if verdict.correct or not task.near or verdict.answer is None:
        return verdict
    number, wanted = parse_number(verdict.answer), parse_number(gold)
    if number is None or wanted is None or abs(number - wanted) > task.near:
        return verdict
    return replace(verdict, correct=True, why=f"{verdict.answer} is within {task.near:g} of {gold}")


def _abstaining(completion: str) -> Verdict:
    """Right where the output says that its question cannot be answered."""
    said = marked_abstains(strip_thinking(completion).text)
    why = "does not say that something is missing" if said is None else f"says: {said}"
    return Verdict(said is not None, said, "abstain", why=why)


def _judge(items: Sequence[Item], grader: str, task: Task) -> list[Verdict]:
    """A verdict an item, in their order; what only algebra can settle is asked for all items first, side by side."""
    if task.scoring == "abstain":
        return [_abstaining(item.completion) for item in items]
    made = GRADERS.parse(grader)
    if isinstance(made, Symbolic):
        made.prepare([(item.completion, item.gold) for item in items], task.form)
    verdicts = [made.grade(item.completion, item.gold, task.form) for item in items]
    if isinstance(made, MetaMath):
        return verdicts
    return [_near(verdict, item.gold, task) for item, verdict in zip(items, verdicts, strict=True)]


def _differing(items: Sequence[Item], one: Sequence[Verdict], other: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "line": item.line, "gold": item.gold, "answer": a.answer, "correct": a.correct,
            "other_answer": b.answer, "other_correct": b.correct,
        }
        for item, a, b in zip(items, one, other, strict=True)
        if a.correct != b.correct
    ]  # fmt: skip


def _explained(items: Sequence[Item], verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "line": item.line, "gold": item.gold, "answer": v.answer, "correct": v.correct, "how": v.how,
            "note": v.note, "why": v.why,
        }
        for item, v in zip(items, verdicts, strict=True)
    ]  # fmt: skip


def _labelled(items: Sequence[Item], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How often the verdicts are those that the file itself holds, and where they are not."""
    differ = [
        {"line": i.line, "gold": i.gold, "answer": v.answer, "correct": v.correct, "label": i.label, "why": v.why}
        for i, v in zip(items, verdicts, strict=True)
        if v.correct is not i.label
    ]
    return {"agree": len(items) - len(differ), "right": sum(bool(i.label) for i in items), "differ": differ}


def _column(column: Column, task: Task, grader: str, diff: str | None, explain: bool, label: bool) -> dict[str, Any]:
    items, verdicts = column.items, _judge(column.items, grader, task)
    correct = sum(v.correct for v in verdicts)
    result = {
        "field": column.name, "n": len(items), "correct": correct, **accuracy(correct, len(items)),
        "no_answer": [i.line for i, v in zip(items, verdicts, strict=True) if v.answer is None],
        "found_by": dict(sorted(Counter(v.how for v in verdicts if v.answer is not None).items())),
        "notes": dict(sorted(Counter(v.note for v in verdicts if v.note).items())),
        "drawn": column.drawn,
    }  # fmt: skip
    if explain:
        result["items"] = _explained(items, verdicts)
    if label:
        result["labels"] = _labelled(items, verdicts)
    if diff is not None:
        others = _judge(items, diff, task)
        result["other_grader"] = diff
        result["other_accuracy"] = sum(v.correct for v in others) / len(items)
        result["differ"] = _differing(items, verdicts, others)
    return result


def grade_file(
    path: str | Path,
    task: str,
    grader: str | None = None,
    diff: str | None = None,
    field: str | Sequence[str] = COMPLETION_FIELD,
    *,
    gold: str = "",
    label: str = "",
    explain: bool = False,
) -> dict[str, Any]:
    """Score a file of outputs (see `outputs.read_columns` for its kinds) as plain JSON-able data.

    A row holds the output in `field` and the gold answer in `gold`, by default "gold" or the task's own field.
    `grader` is a name or a call such as "exact(extract='phrase')", by default the task's (`default_grader`). With
    `diff`, a second grader, the items that the two judge differently are under "differ"; with `label` those whose
    stored verdict differs, under "labels"; with `explain` every item and why it was judged so, under "items". With
    several fields, or models in a file of results, each is one of "columns". Rows that cannot be read are an
    InputError; nothing is left out.
    """
    known = find_task(task)
    if known.scoring not in ("answer", "abstain"):
        raise RecipeError(f"{known.name} is not scored by comparing answers", remedy="use deltakit eval")
    fields = [field] if isinstance(field, str) else list(field)
    if len(set(fields)) < len(fields) or not fields:
        raise RecipeError(f"fields: {', '.join(fields) or 'none'}", remedy="name each field once")
    used = grader or default_grader(task)
    for name in (used, diff):
        if name is not None:
            GRADERS.parse(name)
    columns = [
        _column(column, known, used, diff, explain, bool(label))
        for column in read_columns(Path(path), known, fields, gold, label)
    ]
    head = {"task": known.name, "file": str(path), "grader": used}
    return {**head, **columns[0]} if len(columns) == 1 else {**head, "columns": columns}
