"""The documents of our lm-eval tasks, from a local file, the hub or the toy world, each with prompt and gold answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from deltakit import rng
from deltakit.data.jsonl import Bad, Row, bad_rows_error, read_rows
from deltakit.data.locate import VARIABLE, data_root, find_data
from deltakit.data.synthetic import generate
from deltakit.errors import InputError, RecipeError
from deltakit.grade.tasks import Source, Task, find_task, gold_of, question_of, text_of
from deltakit.prompts import PromptStyle, prompt_style

__all__ = ["TOY_COUNT", "document", "documents", "drawn", "how_to_get", "load", "resolve"]

TOY_COUNT = 200  # items of a toy task when no limit is given
_TOY_MOST = 100_000  # above it generating them takes minutes, and the toy world runs out of different ones


def resolve(task: Task, data: str | Path | None = None, split: str = "test") -> Path | None:
    """The local file of a task's split: `data` itself, or found under the folder `data`; None: from the hub or
    generated."""
    wanted = "" if task.toy else task.source(split).file
    if data is None:
        return find_data(wanted) if wanted else None
    if Path(data).is_file():
        return Path(data)
    found = find_data(wanted, Path(data)) if wanted else None
    if found is None and (wanted or not Path(data).is_dir()):
        folder = f"a folder with {wanted}" if wanted else "a folder"
        raise InputError(f"{task.name}: {data} is no file, nor {folder}", remedy="name a JSONL file")
    return found


def document(task: Task, style: PromptStyle, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """One document: the question, the prompt that asks it, the gold answer, the form of answers and how near one must
    be; `details`: what scoring needs besides, as JSON; `group`: what it is told apart by."""
    question, input = question_of(task, row), str(row.get(task.input) or "") if task.input else ""
    prompt = style(question, input) if task.input or task.whole else style.question(question)
    missing = [name for name in task.details if name not in row]
    if missing:
        raise InputError(f"{task.name}: line {line} has no field {missing[0]!r}", remedy="name the right file")
    return {
        "line": line,
        "question": question,
        "prompt": prompt,
        "gold": gold_of(task, row),
        "form": task.form,
        "near": task.near,
        "details": json.dumps({name: row[name] for name in task.details}) if task.details else "",
        "group": text_of(row, task.group) if task.group in row else "",
    }


def _local(task: Task, path: Path, limit: int | None) -> list[Row]:
    def wanted() -> Iterator[Row | Bad]:
        return (row for row in read_rows(path) if isinstance(row, Bad) or task.takes(row.value))

    rows = list(islice(wanted(), limit))
    bad = [row for row in rows if isinstance(row, Bad)]
    if bad or not rows:
        raise bad_rows_error(path, bad, len(rows), "mend or remove them")
    return [row for row in rows if isinstance(row, Row)]


def how_to_get(task: Task, source: Source) -> str:
    """What to do where a task's data are not found."""
    where = f" (from {source.origin})" if source.origin else ""
    return f"set {VARIABLE} to the folder that holds {source.file}{where}, or pass the file: --data {task.name}=FILE"


def _hub(task: Task, limit: int | None, split: str) -> list[Row]:
    source = task.source(split)
    remedy = how_to_get(task, source)
    if not source.hub:
        folder = data_root()
        raise InputError(
            f"{task.name}: no local file {source.file}" + (f" in {folder}" if folder else ""), remedy=remedy
        )
    return list(islice(_hub_rows(task, source, remedy), limit))


def _hub_rows(task: Task, source: Source, remedy: str) -> Iterator[Row]:
    import datasets

    line = 0
    for part in source.parts:
        try:
            rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(source.hub, part, split=source.split)
        except Exception as error:  # offline, gone, moved: whatever the hub client raises
            raise InputError(f"{task.name}: {source.hub} cannot be loaded: {error}", remedy=remedy) from error
        for row in rows:
            line += 1
            if task.takes(row):
                yield Row(line, row)


def _toy(task: Task, limit: int, seed: int, split: str) -> list[Row]:
    if limit > _TOY_MOST:
        raise RecipeError(f"{task.name}: {limit:,} generated items are too many", remedy=f"at most {_TOY_MOST:,}")
    return [Row(i, row) for i, row in enumerate(generate(task.toy, split, limit, seed), start=1)]


def drawn(rows: list[Row], count: int, seed: int, name: str) -> list[Row]:
    """`count` of the rows, drawn by the seed without replacement, in their own order; all where there are no more."""
    order = rng.words(rng.key(seed, "subset", name), 0, len(rows)).argsort(kind="stable")
    return [rows[i] for i in sorted(order[:count].tolist())]


def documents(
    task: Task,
    style: str,
    data: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str = "test",
    subset: int | None = None,
) -> list[dict[str, Any]]:
    """The documents of a task's split in its file's order: the first `limit`, or `subset` drawn by `seed` (from all,
    so that a part of a sorted file is fair). Generated ones follow from `seed` too."""
    if limit is not None and subset is not None:
        raise RecipeError("limit and subset are both given", remedy="limit takes the first items, subset draws some")
    path, asked = resolve(task, data, split), prompt_style(style, task.family)
    if path is not None:
        rows = _local(task, path, limit)
    else:
        count = limit or max(TOY_COUNT, subset or 0)
        rows = _toy(task, count, seed, split) if task.toy else _hub(task, limit, split)
    chosen = rows if subset is None else drawn(rows, subset, seed, task.name)
    try:
        return [document(task, asked, row.line, row.value) for row in chosen]
    except InputError as wrong:
        where = f"{path or task.name}: these are no items of {task.name}"
        raise InputError(f"{where}: {wrong.message}", remedy=wrong.remedy) from None


def load(
    source: str,
    style: str,
    data: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str = "test",
    subset: int | None = None,
    **_: Any,
) -> Any:
    """lm-eval's `custom_dataset`: called with a task's metadata (its other keys are lm-eval's). Whatever the split is,
    lm-eval gets it as its test split."""
    import datasets

    rows = documents(find_task(source), style, data, limit, seed, split, subset)
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
