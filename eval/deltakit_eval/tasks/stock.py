"""Tasks that are not ours: lm-eval's own, and task files of the user's."""

from __future__ import annotations

import importlib.util
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deltakit.errors import InputError, RecipeError
from deltakit.registry import did_you_mean
from deltakit_eval.tasks.names import PREFIX, task_names

__all__ = ["load_stock", "mentioned"]

_CLOSE = 0.75  # how alike a name must be to one of ours to be taken for a slip of the keyboard


def mentioned(name: str) -> bool:
    """Does any of lm-eval's task files hold the name? Quick, where the index of them takes seconds; a name that no file
    holds is no task of its own."""
    spec = importlib.util.find_spec("lm_eval.tasks")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    wanted = name.encode()
    return any(wanted in file.read_bytes() for folder in folders for file in folder.rglob("*.yaml"))


def _from_file(path: Path) -> dict[str, Any]:
    """The tasks of one YAML file."""
    from lm_eval.tasks import TaskManager

    if not path.is_file():
        raise InputError(f"no task file {path}", remedy="name a task, or the path of lm-eval's YAML file of one")
    try:
        loaded: dict[str, Any] = TaskManager(include_defaults=False).load([str(path)])["tasks"]
    except Exception as error:  # whatever lm-eval, YAML or the task's own code raises
        raise InputError(f"{path}: cannot be loaded as a task: {error}", remedy="see lm-eval's task guide") from error
    return loaded


def load_stock(name: str) -> dict[str, Any]:
    """Task objects of lm-eval's own task, group or tag, or of a task file; RecipeError with a suggestion for a name
    that nobody knows, at once where it is close to one of ours."""
    if Path(name).suffix in (".yaml", ".yml"):
        return _from_file(Path(name).expanduser())
    ours = task_names()
    if name.startswith(PREFIX) or ":" in name:
        raise RecipeError(f"unknown task {name!r}", remedy=did_you_mean(name.removeprefix(PREFIX), ours))
    if get_close_matches(name, ours, n=1, cutoff=_CLOSE) and not mentioned(name):
        raise RecipeError(f"unknown task {name!r}", remedy=did_you_mean(name, ours))
    from lm_eval.tasks import TaskManager

    manager = TaskManager()
    if name not in manager.all_tasks:
        near = get_close_matches(name, [*ours, *manager.all_tasks], n=1, cutoff=0.5)
        raise RecipeError(f"unknown task {name!r}", remedy=did_you_mean(name, near or ours))
    try:
        loaded: dict[str, Any] = manager.load([name])["tasks"]
    except Exception as error:  # the hub is not reached, a package is missing: whatever its code raises
        remedy = "its documents come from the hub: ask it where that is reached, or where they are cached (HF_HOME)"
        raise InputError(f"{name}: lm-eval cannot load it: {error}", remedy=remedy) from error
    return loaded
