"""What `ls` and `explain` say about tasks."""

from __future__ import annotations

from typing import Any

from deltakit.data.locate import find_data
from deltakit.errors import InputError, RecipeError
from deltakit.grade.tasks import TASKS, Task

__all__ = ["about_task", "listed_tasks"]


def listed_tasks() -> list[dict[str, Any]]:
    """One record per task: name, summary, number of items, form of answers, default style, all styles."""
    return [
        {
            "name": task.name,
            "summary": task.about,
            "n": task.n,
            "form": task.form,
            "style": task.style,
            "styles": task.styles,
        }
        for _, task in sorted(TASKS.items())
    ]


def about_task(name: str) -> dict[str, Any] | None:
    """A task in a style: what it rests on, where its data are, and the prompt of its first item. None for a name that
    is no task's; RecipeError for a style that the task does not have."""
    from deltakit_eval.tasks.config import about
    from deltakit_eval.tasks.names import parse_variant

    variant = parse_variant(name)
    if variant is None:
        return None
    task, style, asked = variant.task, variant.style, about(variant)
    facts = {
        "lm-eval": variant.full,
        "version": task.version,
        "items": task.n or "as many as asked for (--limit)",
        "answers": task.form,
        "style": f"{style.name}: {style.about}",
        "styles": " ".join(task.styles),
        "mode": style.mode,
        "new tokens": task.max_tokens,
        "stops at": " ".join(map(repr, style.stop)) or "the end token only",
        "score": asked["headline"],
        **{f"filter {filter}": rule for filter, rule in asked["filters"].items()},
        **{f"data, {split}": text for split, text in _places(task).items()},
    }
    prompt = _prompt(task, style.name)
    return {
        "name": variant.short,
        "kind": "task",
        "text": task.about + (f"\n\nA prompt:\n\n{prompt}" if prompt else ""),
        "facts": facts,
        "prompt": prompt,
        "parameters": [],
    }


def _places(task: Task) -> dict[str, str]:
    """By split: where its data are, or how to get them."""
    if task.toy:
        return {"every split": "made by `deltakit data toy`"}
    from deltakit_eval.tasks.documents import how_to_get

    out = {}
    for split, source in task.splits.items():
        here = find_data(source.file)
        hub = f"not here; taken from {source.hub} on the hub, or {how_to_get(task, source)}"
        missing = hub if source.hub else f"not here: {how_to_get(task, source)}"
        out[split] = str(here) if here else missing
    return out


def _prompt(task: Task, style: str) -> str | None:
    """The first item as it is asked, where its data are here."""
    from deltakit_eval.tasks.documents import documents

    if not task.toy and find_data(task.file) is None:
        return None
    try:
        return str(documents(task, style, limit=1)[0]["prompt"])
    except (InputError, RecipeError):
        return None  # data that cannot be read are told of where they are used
