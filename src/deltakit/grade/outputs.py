"""Outputs to be graded, from the files in which they come: JSON lines, lm-eval's log of samples, our own results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.data.jsonl import Bad, Row, bad_rows_error, read_rows
from deltakit.errors import InputError
from deltakit.grade.answers import extract
from deltakit.grade.tasks import COMPLETION_FIELD, Task, gold_of, text_of
from deltakit.registry import did_you_mean

__all__ = ["Column", "Item", "read_columns"]


@dataclass(frozen=True)
class Item:
    """One output to be judged, and the line it stands on; `label`: what the file itself says of it."""

    line: int
    completion: str
    gold: str
    label: bool | None = None


@dataclass(frozen=True)
class Column:
    """The outputs of one field, or of one model in a file of results; `drawn`: answers an item, of which the first
    counts."""

    name: str
    items: tuple[Item, ...]
    drawn: int = 1


def _found(row: Mapping[str, Any], field: str) -> tuple[Mapping[str, Any], str]:
    """The object and key that a field names; dots lead into objects ("model.solution") where no key is so called."""
    while field not in row and "." in field:
        head, _, rest = field.partition(".")
        inner = row.get(head)
        if not isinstance(inner, Mapping):
            break
        row, field = inner, rest
    return row, field


def _gold(row: Mapping[str, Any], task: Task, field: str) -> str:
    """The gold answer, from the task's own place, or what is marked in the field that is named (else all of it)."""
    if not field:
        return gold_of(task, row)
    text = text_of(*_found(row, field))
    marked = extract(text, "marked", task.form)
    return text.strip() if marked is None else marked.text


def _label(row: Mapping[str, Any], completion: str, field: str) -> bool | None:
    """The verdict that the file holds: beside the completion, else in the row itself."""
    if not field:
        return None
    beside, _ = _found(row, completion)
    value = beside[field] if field in beside else _at(row, field)
    if not isinstance(value, bool):
        raise InputError(f"field {field!r} is no true or false", remedy="name a field that is")
    return value


def _at(row: Mapping[str, Any], field: str) -> Any:
    inner, key = _found(row, field)
    return inner.get(key)


def _item(row: Row, task: Task, field: str, gold: str, label: str) -> Item | Bad:
    try:
        said = text_of(*_found(row.value, field))
        return Item(row.line, said, _gold(row.value, task, gold), _label(row.value, field, label))
    except InputError as error:
        return Bad(row.line, error.message)


def _logged(row: Row) -> bool:
    """Is this a line of lm-eval's own log of samples?"""
    return isinstance(row.value.get("doc"), dict) and isinstance(row.value.get("resps"), list)


def _flat(said: Sequence[Any]) -> list[str]:
    return [text for part in said for text in (part if isinstance(part, list) else [part]) if isinstance(text, str)]


def _unlogged(row: Row, field: str) -> Row | Bad:
    """A logged sample as document and first response."""
    said = _flat(row.value["resps"])
    if not said:
        return Bad(row.line, "the logged sample holds no response")
    return Row(row.line, {**row.value["doc"], field: said[0]})


def _rows(path: Path, field: str) -> tuple[list[Row | Bad], int]:
    """All rows, and answers an item; of lm-eval's log, which repeats documents by filter, the first filter's."""
    rows = list(read_rows(path))
    logged = [row for row in rows if isinstance(row, Row) and _logged(row)]
    if not logged:
        return rows, 1
    first = logged[0].value.get("filter")
    kept = [row for row in rows if isinstance(row, Bad) or row.value.get("filter") == first]
    drawn = max((len(_flat(row.value["resps"])) for row in logged), default=1)
    return [_unlogged(row, field) if isinstance(row, Row) and _logged(row) else row for row in kept], max(drawn, 1)


def _result(path: Path) -> Mapping[str, Any] | None:
    """The file as results of `deltakit eval`, or None."""
    try:
        with path.open("rb") as file:
            if file.read(1) != b"{" or b'"models"' not in path.read_bytes():
                return None
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return whole if isinstance(whole, dict) and isinstance(whole.get("models"), list) else None


def _of_models(path: Path, result: Mapping[str, Any], task: Task) -> list[Column]:
    """The columns of a file of results: one a model, of the task or of its styles ("gsm8k:cot8")."""
    columns = []
    for model in result["models"]:
        for name, found in model.get("tasks", {}).items():
            if name == task.name or name.startswith((f"{task.name}:", f"{task.name}_")) and _styled(name, task):
                columns.append(
                    _of_samples(path, model["name"] + name.removeprefix(task.name), found.get("samples", []))
                )
    if not columns:
        held = sorted({name for model in result["models"] for name in model.get("tasks", {})})
        raise InputError(f"{path}: no samples of {task.name}", remedy=did_you_mean(task.name, held))
    return columns


def _styled(name: str, task: Task) -> bool:
    return name.removeprefix(task.name)[1:] in task.styles


def _of_samples(path: Path, name: str, samples: Iterable[Mapping[str, Any]]) -> Column:
    items, bad, drawn = [], [], 1
    for number, sample in enumerate(samples, start=1):
        said = _flat(sample.get("responses") or [])
        if said and isinstance(sample.get("target"), str):
            items.append(Item(number, said[0], sample["target"]))
            drawn = max(drawn, len(said))
        else:
            bad.append(Bad(number, "the sample holds no response or no target"))
    if bad or not items:
        raise bad_rows_error(path, bad, len(items) + len(bad), "each sample needs responses and a target")
    return Column(name, tuple(items), drawn)


def read_columns(
    path: Path, task: Task, fields: Sequence[str] = (COMPLETION_FIELD,), gold: str = "", label: str = ""
) -> list[Column]:
    """The outputs in a file, one column a field (or a model).

    JSONL or a JSON list, lm-eval's log of samples, or what `deltakit eval -o` writes. `gold` and `label` name the
    fields of the gold answer and of a stored verdict. Rows that cannot be graded are an InputError that lists all.
    """
    result = _result(path)
    if result is not None:
        return _of_models(path, result, task)
    columns = []
    for field in fields:
        rows, drawn = _rows(path, field)
        taken = [row if isinstance(row, Bad) else _item(row, task, field, gold, label) for row in rows]
        bad = [t for t in taken if isinstance(t, Bad)]
        if bad or not taken:
            where = repr(gold) if gold else f"'gold' or {task.fields[1]!r}"
            needed = f"each line needs {field!r}, and {where}"
            raise bad_rows_error(path, bad, len(taken), needed)
        columns.append(Column(field, tuple(t for t in taken if isinstance(t, Item)), drawn))
    return columns
