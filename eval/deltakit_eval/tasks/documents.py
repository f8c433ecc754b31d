"""The documents of our lm-eval tasks, from a local file, the hub or the toy world, each with prompt and gold answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from deltakit.data.jsonl import Bad, bad_rows_error, read_rows
from deltakit.data.locate import VARIABLE, data_root, find_data
from deltakit.data.synthetic import generate
from deltakit.errors import InputError
from deltakit.grade.tasks import Task, find_task, gold_of, text_of
from deltakit.prompts import PromptStyle, prompt_style

__all__ = ["TOY_COUNT", "document", "documents", "load", "resolve"]

TOY_COUNT = 200  # items of a toy task when no limit is given


def resolve(task: Task, data: str | Path | None = None) -> Path | None:
    """The local file of a task: `data` itself, or found under the folder `data`; None: from the hub or generated."""
    if data is None:
        return find_data(task.file) if task.file else None
    if Path(data).is_file():
        return Path(data)
    found = find_data(task.file, Path(data)) if task.file else None
    if found is None and (task.file or not Path(data).is_dir()):
        raise InputError(f"{task.name}: {data} is no file, nor a folder with {task.file}", remedy="name a JSONL file")
    return found


def document(task: Task, style: PromptStyle, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """One document: the question, the prompt that asks it, the gold answer, the form of answers."""
    question, input = text_of(row, task.fields[0]), str(row.get(task.input) or "") if task.input else ""
    prompt = style(question, input) if task.input else style.question(question)
    return {"line": line, "question": question, "prompt": prompt, "gold": gold_of(task, row), "form": task.form}


def _local(path: Path, limit: int | None) -> list[tuple[int, Mapping[str, Any]]]:
    rows = list(islice(read_rows(path), limit))
    bad = [row for row in rows if isinstance(row, Bad)]
    if bad or not rows:
        raise bad_rows_error(path, bad, len(rows), "mend or remove them")
    return [(row.line, row.value) for row in rows if not isinstance(row, Bad)]


def _hub(task: Task, limit: int | None) -> list[tuple[int, Mapping[str, Any]]]:
    remedy = f"set {VARIABLE} to the folder that holds {task.file}, or pass the file"
    if task.hub is None:
        where = data_root()
        raise InputError(f"{task.name}: no local file {task.file}" + (f" in {where}" if where else ""), remedy=remedy)
    import datasets

    repository, configuration, split = task.hub
    try:
        rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(repository, configuration, split=split)
    except Exception as error:  # offline, gone, moved: whatever the hub client raises
        raise InputError(f"{task.name}: {repository} cannot be loaded: {error}", remedy=remedy) from error
    return list(enumerate(islice(rows, limit), start=1))


def _toy(task: Task, limit: int | None, seed: int, split: str) -> list[tuple[int, Mapping[str, Any]]]:
    return list(enumerate(generate(task.toy, split, limit or TOY_COUNT, seed), start=1))


def documents(
    task: Task, style: str, data: str | Path | None = None, limit: int | None = None, seed: int = 0, split: str = "test"
) -> list[dict[str, Any]]:
    """The first `limit` documents of a task in its file's order; `seed` and `split` matter to generated ones only."""
    path, asked = resolve(task, data), prompt_style(style)
    if path is not None:
        rows = _local(path, limit)
    else:
        rows = _toy(task, limit, seed, split) if task.toy else _hub(task, limit)
    return [document(task, asked, line, row) for line, row in rows]


def load(
    source: str,
    style: str,
    data: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str = "test",
    **_: Any,
) -> Any:
    """lm-eval's `custom_dataset`: called with a task's metadata (its other keys are lm-eval's); the test split."""
    import datasets

    rows = documents(find_task(source), style, data, limit, seed, split)
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
