"""What our tasks are called: "gsm8k" or "gsm8k:cot8" here and in results, "deltakit_gsm8k_cot8" in lm-eval."""

from __future__ import annotations

from dataclasses import dataclass

from deltakit.errors import RecipeError
from deltakit.grade.tasks import TASKS, Task
from deltakit.prompts import PromptStyle, prompt_style
from deltakit.registry import did_you_mean

__all__ = ["PREFIX", "STOCK", "Variant", "find_variant", "full_names", "parse_variant", "short_name", "task_names"]

PREFIX = "deltakit_"
STOCK = "stock:"  # before a name of lm-eval's own that one of ours has too


@dataclass(frozen=True)
class Variant:
    """A task in one of its prompt styles."""

    task: Task
    style: PromptStyle

    @property
    def short(self) -> str:
        """Its name here and in results: the task's alone for the default style."""
        return self.task.name if self.style.name == self.task.style else f"{self.task.name}:{self.style.name}"

    @property
    def full(self) -> str:
        """Its name in lm-eval."""
        return PREFIX + self.short.replace(":", "_")


def task_names() -> list[str]:
    """The short names of our tasks: gsm8k, math500, ..."""
    return sorted(TASKS)


def full_names() -> list[str]:
    """The names in lm-eval of every task in every style that is listed."""
    return sorted(find_variant(f"{task.name}:{style}").full for task in TASKS.values() for style in task.styles)


def parse_variant(name: str) -> Variant | None:
    """The variant that a short or a full name means; None where the name is none of ours.

    RecipeError where the task is ours and the style after the colon is not one of its own.
    """
    bare = name.removeprefix(PREFIX)
    task, colon, style = bare.partition(":")
    if task in TASKS:
        found = TASKS[task]
        try:
            return Variant(found, prompt_style(style if colon else found.style, found.family))
        except RecipeError as wrong:
            raise RecipeError(f"{task}: {wrong.message}", remedy=wrong.remedy) from None
    if colon or bare == name:  # without our prefix "gsm8k_cot" is lm-eval's
        return None
    for short in sorted((known for known in TASKS if bare.startswith(f"{known}_")), key=len, reverse=True):
        try:
            return Variant(TASKS[short], prompt_style(bare.removeprefix(f"{short}_"), TASKS[short].family))
        except RecipeError:
            continue
    return None


def find_variant(name: str) -> Variant:
    """As `parse_variant`; RecipeError with a suggestion for a name that is none of ours."""
    found = parse_variant(name)
    if found is None:
        short, colon, style = name.removeprefix(PREFIX).partition(":")
        raise RecipeError(f"unknown task {name!r}", remedy=did_you_mean(short, task_names()))
    return found


def short_name(full: str) -> str:
    """What a task of lm-eval is called in results: ours without prefix, others as they are; one of theirs that is
    called like one of ours gets "stock:" in front."""
    found = parse_variant(full)
    if found is None:
        return full
    return found.short if full.startswith(PREFIX) else STOCK + full
