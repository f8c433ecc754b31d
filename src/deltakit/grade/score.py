"""Scores of existing outputs: accuracy with its error bar, what failed, and where two graders differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.data.jsonl import Bad, Row, bad_rows_error, read_rows
from deltakit.errors import InputError
from deltakit.grade.graders import GRADERS, Verdict
from deltakit.grade.tasks import COMPLETION_FIELD, Task, find_task, gold_of, text_of

__all__ = ["Item", "accuracy", "grade_file", "read_items"]

Z95 = 1.959963984540054  # normal quantile at 97.5 %


@dataclass(frozen=True)
class Item:
    """One output to be judged, and the line it stands on."""

    line: int
    completion: str
    gold: str


def _item(row: Row, task: Task, field: str) -> Item | Bad:
    try:
        return Item(row.line, text_of(row.value, field), gold_of(task, row.value))
    except InputError as error:
        return Bad(row.line, error.message)


def _logged(row: Row) -> bool:
    """Is this a line of lm-eval's own log of samples?"""
    return isinstance(row.value.get("doc"), dict) and isinstance(row.value.get("resps"), list)


def _unlogged(row: Row, field: str) -> Row | Bad:
    """A logged sample as document and first response."""
    match row.value["resps"]:
        case [[str(said), *_], *_] | [str(said), *_]:
            return Row(row.line, {**row.value["doc"], field: said})
    return Bad(row.line, "the logged sample holds no response")


def _rows(path: Path, field: str) -> list[Row | Bad]:
    """All rows; of lm-eval's log, which repeats each document for each filter, those of the first filter."""
    rows = list(read_rows(path))
    logged = [row for row in rows if isinstance(row, Row) and _logged(row)]
    if not logged:
        return rows
    first = logged[0].value.get("filter")
    kept = [row for row in rows if isinstance(row, Bad) or row.value.get("filter") == first]
    return [_unlogged(row, field) if isinstance(row, Row) and _logged(row) else row for row in kept]


def read_items(path: Path, task: Task, field: str = COMPLETION_FIELD) -> list[Item]:
    """The outputs in a JSONL file, or in lm-eval's log; rows that cannot be graded are an InputError that lists all."""
    taken = [row if isinstance(row, Bad) else _item(row, task, field) for row in _rows(path, field)]
    bad = [t for t in taken if isinstance(t, Bad)]
    if bad or not taken:
        raise bad_rows_error(path, bad, len(taken), f"each line needs {field!r}, and 'gold' or {task.fields[1]!r}")
    return [t for t in taken if isinstance(t, Item)]


def accuracy(correct: int, n: int) -> dict[str, Any]:
    """Share of n >= 1 that is correct, its standard error (sample deviation / sqrt(n)) and the 95 % Wilson interval."""
    p = correct / n
    centre, spread = p + Z95**2 / (2 * n), Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n))
    low, high = ((centre + sign * spread) / (1 + Z95**2 / n) for sign in (-1, 1))
    stderr = math.sqrt(p * (1 - p) / (n - 1)) if n > 1 else None
    return {"accuracy": p, "stderr": stderr, "interval": [max(0.0, low), min(1.0, high)]}


def _judge(items: Sequence[Item], grader: str, task: Task) -> list[Verdict]:
    made = GRADERS.parse(grader)
    return [made.grade(item.completion, item.gold, task.form) for item in items]


def _differing(items: Sequence[Item], one: Sequence[Verdict], other: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "line": item.line, "gold": item.gold, "answer": a.answer, "correct": a.correct,
            "other_answer": b.answer, "other_correct": b.correct,
        }
        for item, a, b in zip(items, one, other, strict=True)
        if a.correct != b.correct
    ]  # fmt: skip


def grade_file(
    path: str | Path, task: str, grader: str = "exact", diff: str | None = None, field: str = COMPLETION_FIELD
) -> dict[str, Any]:
    """Score a JSONL file of outputs, or a log of samples that lm-eval wrote, as plain JSON-able data.

    A row holds the output in `field`, and the gold answer in "gold" or the task's own field. `grader` is a name or a
    call such as "exact(extract='phrase')"; with `diff` a second grader, the items that the two judge differently are
    listed under "differ". Rows that cannot be read are an InputError; nothing is left out.
    """
    known = find_task(task)
    items = read_items(Path(path), known, field)
    verdicts = _judge(items, grader, known)
    correct = sum(v.correct for v in verdicts)
    result = {
        "task": known.name, "file": str(path), "grader": grader, "n": len(items), "correct": correct,
        **accuracy(correct, len(items)),
        "no_answer": [i.line for i, v in zip(items, verdicts, strict=True) if v.answer is None],
        "found_by": dict(sorted(Counter(v.how for v in verdicts if v.answer is not None).items())),
        "notes": dict(sorted(Counter(v.note for v in verdicts if v.note).items())),
    }  # fmt: skip
    if diff is not None:
        others = _judge(items, diff, known)
        result["other_grader"] = diff
        result["other_accuracy"] = sum(v.correct for v in others) / len(items)
        result["differ"] = _differing(items, verdicts, others)
    return result
