"""What a person should know beside the accuracies: several answers an item, texts that did not end, formats that
do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["at_k_rows", "endings", "formats"]

_SAID = {
    "truncated": "were cut at their limit of new tokens (--max-new-tokens)",
    "empty": "were empty",
    "unclosed_thoughts": "ended inside a thought, without an answer",
}


def at_k_rows(result: Mapping[str, Any]) -> list[list[Any]]:
    """(model name, task, metric, value, stderr) of avg@k, maj@k and pass@k, as the headline's filter reads answers."""
    return [
        [model["name"], name, metric["metric"], metric["value"], metric["stderr"]]
        for model, name, task in _tasks(result)
        for metric in task["metrics"]
        if "@" in metric["metric"] and metric["filter"] == task["headline"].partition(",")[2]
    ]


def endings(result: Mapping[str, Any]) -> list[str]:
    """One line per model, task and kind of ending that spoils answers; nothing where all of them ended well."""
    return [
        f"{model['name']}, {name}: {task[kind]:.1%} of the texts {said}"
        for model, name, task in _tasks(result)
        for kind, said in _SAID.items()
        if task.get(kind)
    ]


def formats(result: Mapping[str, Any]) -> list[str]:
    """One line per model and task whose strict and flexible scores differ by more than noise."""
    return [f"{model['name']}, {name}: {task['format']}" for model, name, task in _tasks(result) if task.get("format")]


def _tasks(result: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, Mapping[str, Any]]]:
    for model in result["models"]:
        for name, task in model["tasks"].items():
            yield model, name, task
