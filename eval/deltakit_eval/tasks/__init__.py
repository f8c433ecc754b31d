"""Our lm-eval tasks: YAML files beside this module, short names for them, and one function that loads them.

They also run under lm-eval's own command line: `lm_eval --include_path <this folder> --tasks deltakit_gsm8k ...`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deltakit.errors import RecipeError
from deltakit.prompts import prompt_style
from deltakit.registry import did_you_mean

__all__ = ["FOLDER", "PREFIX", "headline", "load_tasks", "task_manager", "task_names"]

FOLDER = Path(__file__).parent
PREFIX = "deltakit_"


def task_names() -> list[str]:
    """The short names of our tasks: gsm8k, math500, ..."""
    return sorted(path.stem.removeprefix(PREFIX) for path in FOLDER.glob(f"{PREFIX}*.yaml"))


def headline(name: str) -> str:
    """The key in lm-eval's results that is the score of one of our tasks, "metric,filter"."""
    short = name.removeprefix(PREFIX)
    if short not in task_names():
        raise RecipeError(f"{name!r} is no task of deltakit's", remedy=did_you_mean(short, task_names()))
    return "exact_match,marked"


def task_manager(metadata: Mapping[str, Any] | None = None, *, stock: bool = False) -> Any:
    """An lm_eval TaskManager that knows our tasks, and lm-eval's own only if `stock` (their index takes seconds).

    `metadata` goes to the documents of our tasks: style, data, limit, seed, split (see `documents.load`).
    """
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=[FOLDER], include_defaults=stock, metadata=dict(metadata or {}))


def _data_of(name: str, data: str | Path | Mapping[str, str | Path] | None) -> str | None:
    """The path that is meant for one task."""
    if isinstance(data, Mapping):
        chosen = data.get(name, data.get(PREFIX + name))
        return None if chosen is None else str(chosen)
    return None if data is None else str(data)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lm-eval's remark that a task with documents of its own takes metadata: here it was given."""
    logger = logging.getLogger("lm_eval.api.task")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _ours(short: str, metadata: dict[str, Any]) -> Any:
    given = {key: value for key, value in metadata.items() if value is not None}
    with _quiet():
        task = task_manager(given).load([PREFIX + short])["tasks"][PREFIX + short]
    if "style" in given:
        task.set_config("generation_kwargs", {"until": list(prompt_style(given["style"]).stop)}, update=True)
    return task


def _stock(name: str) -> dict[str, Any]:
    ours = task_names()
    if name.startswith(PREFIX):
        raise RecipeError(f"unknown task {name!r}", remedy=did_you_mean(name.removeprefix(PREFIX), ours))
    manager = task_manager(stock=True)
    if name not in manager.all_tasks:
        near = get_close_matches(name, [*ours, *manager.all_tasks], n=1, cutoff=0.5)
        raise RecipeError(f"unknown task {name!r}", remedy=did_you_mean(name, near or ours))
    loaded: dict[str, Any] = manager.load([name])["tasks"]
    return loaded


def load_tasks(
    names: Sequence[str],
    *,
    data: str | Path | Mapping[str, str | Path] | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str = "test",
    style: str | None = None,
) -> dict[str, Any]:
    """Task objects by their full names; pass `list(result.values())` as `tasks` to `lm_eval.simple_evaluate`.

    `names`: ours, short or with "deltakit_" in front, or any of lm-eval's own. For ours: `data` is a folder laid out as
    DELTAKIT_DATA, one JSONL file, or a map from name to either; `limit` keeps the first so many documents (stock tasks
    are limited by simple_evaluate itself); `style` replaces the prompt style; `seed` and `split` shape generated items.
    Raises RecipeError for unknown names, styles and a limit below 1, InputError for missing or bad data.
    """
    if not names:
        raise RecipeError("no task named", remedy=f"ours: {', '.join(task_names())}")
    if limit is not None and limit < 1:
        raise RecipeError(f"limit is {limit}", remedy="leave it out, or give at least 1")
    if style is not None:
        prompt_style(style)
    loaded: dict[str, Any] = {}
    for name in names:
        short = name.removeprefix(PREFIX)
        if short in task_names():
            metadata = {"data": _data_of(short, data), "limit": limit, "seed": seed, "split": split, "style": style}
            loaded[PREFIX + short] = _ours(short, metadata)
        else:
            loaded.update(_stock(name))
    return loaded
