"""The way to an answer, chosen for a whole run instead of by each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltakit.errors import RecipeError
from deltakit.generate.modes import MODES

__all__ = ["set_mode"]


def set_mode(tasks: Mapping[str, Any], mode: str | None) -> None:
    """Let the generation tasks among `tasks` (by full name) be answered in `mode`, a text as MODES reads it; None
    leaves each its own. RecipeError where nothing is generated, or a task's prompt is made for a mode of its own."""
    if mode is None:
        return
    MODES.parse(mode)
    generating = {name: task for name, task in tasks.items() if task.OUTPUT_TYPE == "generate_until"}
    if not generating:
        raise RecipeError(f"mode {mode}: no task here generates text", remedy="leave --mode out")
    for name, task in generating.items():
        given = task.config.generation_kwargs or {}
        own = given.get("mode", "direct")
        if own not in ("direct", mode):
            raise RecipeError(
                f"{name} asks in mode {own}, for which its prompt is made, not in {mode}",
                remedy="take another prompt style of the task, or leave --mode out",
            )
        task.set_config("generation_kwargs", {**given, "mode": mode})
