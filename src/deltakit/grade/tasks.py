"""The table of tasks: which file and fields hold question and gold answer, what form answers have, how to ask."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deltakit.errors import InputError, RecipeError
from deltakit.grade.answers import Form, boxed
from deltakit.registry import did_you_mean

__all__ = ["TASKS", "Task", "find_task", "gold_of", "text_of"]

GOLD_FIELD, COMPLETION_FIELD = "gold", "completion"  # the fields that every task accepts


def _plain(text: str) -> str | None:
    return text.strip() or None


def _after_hash(text: str) -> str | None:
    """The gold number of a GSM8K rationale: after the last ####; a text without any is the answer itself."""
    return text.rpartition("####")[2].strip() or None


def _after_phrase(text: str) -> str | None:
    """The gold answer of a MetaMathQA response."""
    return re.split(r"The answer is:", text)[-1].strip() or None


@dataclass(frozen=True)
class Task:
    """One task: `fields` = (question, gold), `input` = the field with an instruction's input; its data: `file` (local),
    `hub` (repository, configuration, split) or `toy` (the toy world's task); `max_tokens` = new tokens of an answer.
    """

    name: str
    about: str
    form: Form
    fields: tuple[str, str]
    gold: Callable[[str], str | None]
    style: str = "metamath"
    max_tokens: int = 512
    file: str = ""
    hub: tuple[str, str, str] | None = None
    toy: str = ""
    input: str = ""


TASKS = {
    task.name: task
    for task in (
        Task(
            "gsm8k", "GSM8K test: 1,319 grade-school word problems", "number", ("question", "answer"), _after_hash,
            file="gsm8k/test.jsonl", hub=("openai/gsm8k", "main", "test"),
        ),
        Task(
            "gsm8k_backward", "GSM8K-Backward: 1,270 questions that ask for a number of the story", "number",
            ("question", "answer"), _plain, file="gsm8k/backward.jsonl",
        ),
        Task(
            "math", "MATH test: 5,000 competition problems, sorted by subject", "math", ("problem", "solution"), boxed,
            max_tokens=2048, file="math/test.jsonl",
        ),
        Task(
            "math500", "MATH-500: the 500 problems of MATH test that PRM800K keeps for testing", "math",
            ("problem", "answer"), _plain, max_tokens=2048, file="math/math500.jsonl",
            hub=("HuggingFaceH4/MATH-500", "default", "test"),
        ),
        Task(
            "toy_chat", "toy world: word tasks in one instruction", "text", ("instruction", "output"), _plain,
            style="alpaca", max_tokens=80, toy="chat", input="input",
        ),
        Task(
            "toy_math", "toy world: word problems of one or two steps", "number", ("query", "response"), _after_phrase,
            style="alpaca", max_tokens=96, toy="math",
        ),
    )
}  # fmt: skip


def find_task(name: str) -> Task:
    """The task of that name, with or without the prefix "deltakit_"."""
    short = name.removeprefix("deltakit_")
    if short not in TASKS:
        raise RecipeError(f"unknown task {name!r}", remedy=did_you_mean(short, sorted(TASKS)))
    return TASKS[short]


def text_of(row: Mapping[str, Any], field: str) -> str:
    """A field as text: strings as they are, numbers as they are written in JSON; anything else is an InputError."""
    value = row.get(field)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    found = "is absent" if field not in row else f"is {type(value).__name__}"
    raise InputError(f"field {field!r} {found}", remedy=f"the fields here: {', '.join(sorted(map(str, row)))}")


def gold_of(task: Task, row: Mapping[str, Any]) -> str:
    """The gold answer of a row: its field "gold", else taken from the task's own field."""
    if GOLD_FIELD in row:
        return text_of(row, GOLD_FIELD)
    found = task.gold(text_of(row, task.fields[1]))
    if found is None:
        raise InputError(f"field {task.fields[1]!r} holds no gold answer of {task.name}", remedy="check --task")
    return found
