"""Our lm-eval tasks: made from the table of tasks, each in any of its prompt styles; one function loads them.

lm-eval's own command line knows them through `python -m deltakit_eval.lm_eval` (see there).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltakit.errors import RecipeError
from deltakit.prompts import check_style
from deltakit.registry import did_you_mean
from deltakit_eval.tasks.names import PREFIX, STOCK, Variant, find_variant, parse_variant, short_name, task_names
from deltakit_eval.tasks.stock import load_stock, mentioned

__all__ = [
    "PREFIX",
    "describe",
    "headline",
    "is_ours",
    "load_tasks",
    "short_name",
    "takes_style",
    "task_manager",
    "task_names",
    "wants_chat",
]


def headline(name: str) -> str:
    """The key in lm-eval's results that is the score of one of our tasks, "metric,filter"."""
    from deltakit_eval.tasks.config import headline_of

    return headline_of(find_variant(name).task)


def is_ours(full: str) -> bool:
    """Is a loaded task, by its full name, one of ours?"""
    return full.startswith(PREFIX) and parse_variant(full) is not None


def describe(full: str) -> dict[str, Any] | None:
    """What a number of a loaded task rests on: style, mode, filters, headline; None for lm-eval's own tasks."""
    from deltakit_eval.tasks.config import about

    found = parse_variant(full) if full.startswith(PREFIX) else None
    return None if found is None else about(found)


def wants_chat(full: str) -> bool:
    """Does a loaded task ask through the tokenizer's chat template, whatever the run's setting is?"""
    found = parse_variant(full) if full.startswith(PREFIX) else None
    return found is not None and found.style.chat


def _called(variant: Variant) -> tuple[str, ...]:
    """The names under which data can be meant for a variant, the closest first."""
    return variant.short, variant.full, variant.task.name, PREFIX + variant.task.name


def _check_data(data: Any, variants: Iterable[Variant]) -> None:
    """RecipeError for data of a task that is not asked: a slip of the keyboard would go unseen."""
    known = sorted({name for variant in variants for name in _called(variant)})
    for name in sorted(data.keys() - set(known)) if isinstance(data, Mapping) else ():
        raise RecipeError(f"data for {name!r}, which is not asked", remedy=did_you_mean(name, known))


def _data_of(variant: Variant, data: str | Path | Mapping[str, str | Path] | None) -> str | None:
    """The path that is meant for one task: named for the variant, for the task, or for all."""
    if isinstance(data, Mapping):
        return next((str(data[name]) for name in _called(variant) if name in data), None)
    return None if data is None else str(data)


def task_manager() -> Any:
    """An lm_eval TaskManager without lm-eval's own tasks, whose index takes seconds to build."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=False)


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


def _ours(variant: Variant, metadata: Mapping[str, Any]) -> Any:
    from deltakit_eval.tasks.config import config

    given = {key: value for key, value in metadata.items() if value is not None}
    with _quiet():
        loaded: dict[str, Any] = task_manager().load([config(variant, given)])["tasks"]
    return loaded[variant.full]


def _theirs(name: str, split: str, subset: int | None) -> dict[str, Any]:
    """Tasks that are not ours; RecipeError for settings that only ours heed."""
    stock = name.removeprefix(STOCK)
    if (subset is not None or split != "test") and not mentioned(stock):
        load_stock(stock)  # a slip of the keyboard is told as one; what is known need not be fetched to be refused
    if subset is not None:
        raise RecipeError(f"subset draws from our tasks, {name!r} is none", remedy="use limit")
    if split != "test":
        raise RecipeError(f"split is of our tasks, {name!r} is none", remedy="ask it without a split")
    return load_stock(stock)


def takes_style(name: str) -> bool:
    """Is it one of ours, named without a style?"""
    found = None if name.startswith(STOCK) else parse_variant(name)
    return found is not None and name.removeprefix(PREFIX) == found.task.name


def _chosen(name: str, style: str | None) -> Variant | None:
    """One of ours, in the style that its name says, else in `style`, else in its own."""
    found = None if name.startswith(STOCK) else parse_variant(name)
    if found is None or style is None or name.removeprefix(PREFIX) != found.task.name:
        return found
    return find_variant(f"{found.task.name}:{style}")


def load_tasks(
    names: Sequence[str],
    *,
    data: str | Path | Mapping[str, str | Path] | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str = "test",
    style: str | None = None,
    subset: int | None = None,
) -> dict[str, Any]:
    """Task objects by their full names; pass `list(result.values())` as `tasks` to `lm_eval.simple_evaluate`.

    `names`: ours ("gsm8k", "gsm8k:cot8", or in full), any of lm-eval's own ("stock:gsm8k" where ours has the name too),
    or the path of a task's YAML file. For ours: `data` is a folder laid out as DELTAKIT_DATA, one JSONL file, or a map
    from name to either; `limit` keeps the first so many documents (stock tasks are limited by simple_evaluate itself),
    `subset` draws so many by `seed`; `style` is the prompt style of names that say none; `split` is which documents are
    asked. Raises RecipeError for unknown names, styles and splits and a limit below 1, InputError for missing or bad
    data.
    """
    if not names:
        raise RecipeError("no task named", remedy=f"ours: {', '.join(task_names())}")
    for what, count in (("limit", limit), ("subset", subset)):
        if count is not None and count < 1:
            raise RecipeError(f"{what} is {count}", remedy="leave it out, or give at least 1")
    if style is not None:
        check_style(style)
    chosen = {name: _chosen(name, style) for name in names}  # a wrong style is told before anything is loaded
    _check_data(data, [variant for variant in chosen.values() if variant is not None])
    metadata = {"limit": limit, "seed": seed, "split": split, "subset": subset}
    loaded: dict[str, Any] = {}
    for name, variant in chosen.items():
        if variant is not None:
            loaded[variant.full] = _ours(variant, {**metadata, "data": _data_of(variant, data)})
        else:
            loaded.update(_theirs(name, split, subset))
    return loaded
