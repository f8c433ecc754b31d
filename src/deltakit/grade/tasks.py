"""The table of tasks: where their data are, which fields hold question and gold answer, how to ask and how to score."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deltakit.errors import InputError, RecipeError
from deltakit.grade.answers import Form, boxed
from deltakit.prompts import styles_of
from deltakit.registry import did_you_mean

__all__ = ["TASKS", "Scoring", "Source", "Task", "find_task", "gold_of", "question_of", "text_of"]

GOLD_FIELD, COMPLETION_FIELD = "gold", "completion"  # the fields that every task accepts
_MATH = ("algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
         "precalculus")  # fmt: skip
_HARNESS = "github.com/ZubinGou/math-evaluation-harness, data"
_CRITICAL = "critical thinking"
Scoring = Literal[
    "answer", "abstain", "rules", "programs"
]  # what `deltakit_eval.tasks.config` has filters and metrics for


def _plain(text: str) -> str | None:
    return text.strip() or None


def _as_it_is(text: str) -> str | None:
    return text or None


def _after_hash(text: str) -> str | None:
    """The gold number of a GSM8K rationale: after the last ####; a text without any is the answer itself."""
    return text.rpartition("####")[2].strip() or None


def _after_phrase(text: str) -> str | None:
    """The gold answer of a MetaMathQA response."""
    return re.split(r"The answer is:", text)[-1].strip() or None


def _file_begun(row: Mapping[str, Any]) -> str:
    """An item of MBPP as the beginning of a Python file: what is wanted, and the tests that it must pass."""
    lines = [text_of(row, "text"), "", *map(str, row.get("test_list") or ()), ""]
    return '"""\n' + "\n".join(lines).replace("\r\n", "\n") + '"""\n'


@dataclass(frozen=True)
class Source:
    """Where the rows of a split are: `file` under the data folder; on the hub `hub`, its `split` in the configurations
    `parts`, read one after the other; `origin` says where the file comes from if not from the hub."""

    file: str = ""
    hub: str = ""
    parts: tuple[str, ...] = ("default",)
    split: str = "test"
    origin: str = ""


@dataclass(frozen=True)
class Task:
    """One task.

    `fields` = (question, gold); `before` = a field whose text stands before the question; `compose` makes the question
    from several fields; `input` = the field with an instruction's input; `whole`: a question of several lines is one
    instruction (else line 1 is, as MetaMath trains); `keep` = (field, value, whether rows that have it are the task, or
    those that do not); `details` = fields that scoring needs besides, `group` = a field whose
    values can be told apart in reports. Data: `splits` by name, or `toy` (the toy world's task, which has every split).
    `family`: whose worked examples fit (see `deltakit.prompts`); `styles`: how it can be asked, `style` by default.
    `max_tokens` = new tokens of an answer, `near` = how far from the gold number an answer may be, `n` = items of the
    test split. `version` goes up whenever prompts, documents or scoring change what comes out.
    """

    name: str
    about: str
    form: Form
    fields: tuple[str, str]
    gold: Callable[[str], str | None] = _plain
    scoring: Scoring = "answer"
    version: int = 1
    style: str = "metamath"
    family: str = ""
    max_tokens: int = 512
    splits: Mapping[str, Source] = field(default_factory=dict)
    n: int | None = None
    toy: str = ""
    before: str = ""
    compose: Callable[[Mapping[str, Any]], str] | None = None
    input: str = ""
    whole: bool = False
    keep: tuple[str, str, bool] | None = None
    details: tuple[str, ...] = ()
    group: str = ""
    near: float = 0.0

    @property
    def styles(self) -> list[str]:
        """The names of the styles it can be asked in; of "cotN" the longest."""
        return styles_of(self.family)

    @property
    def file(self) -> str:
        """The local file of the test split; empty for generated tasks."""
        return self.splits["test"].file if self.splits else ""

    def source(self, split: str = "test") -> Source:
        """Where a split lies; RecipeError for one that the task does not have."""
        if split not in self.splits:
            raise RecipeError(f"{self.name} has no split {split!r}", remedy=f"it has: {', '.join(self.splits)}")
        return self.splits[split]

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Is a row of the file an item of this task?"""
        return self.keep is None or (row.get(self.keep[0]) == self.keep[1]) is self.keep[2]


def _gsm_plus(name: str, about: str, n: int, critical: bool, **more: Any) -> Task:
    """The two halves of GSM-Plus testmini: items that can be computed, and those that lack something."""
    source = Source("gsm_plus/testmini.jsonl", "qintongli/GSM-Plus", split="testmini")
    keep = ("perturbation_type", _CRITICAL, critical)
    return Task(
        name, about, fields=("question", "answer"), family="grade", n=n, splits={"test": source}, keep=keep,
        group="perturbation_type", **more,
    )  # fmt: skip


TASKS = {
    task.name: task
    for task in (
        Task(
            "gsm8k", "GSM8K: grade-school word problems", "number", ("question", "answer"), _after_hash, version=2,
            family="grade", n=1319, splits={
                "test": Source("gsm8k/test.jsonl", "openai/gsm8k", ("main",)),
                "train": Source("gsm8k/train.jsonl", "openai/gsm8k", ("main",), "train"),
            },
        ),
        Task(
            "gsm8k_backward", "GSM8K-Backward: asks for a number of the story, its result is given", "number",
            ("question", "answer"), version=2, family="grade", n=1270,
            splits={"test": Source("gsm8k/backward.jsonl", origin="github.com/meta-math/MetaMath, data/test")},
        ),
        Task(
            "gsm_hard", "GSM-Hard: GSM8K with large numbers; an answer may be 0.001 off, as in PAL", "number",
            ("input", "target"), family="grade", n=1319, near=1e-3, splits={
                "test": Source("word_problems/gsm_hard_test.jsonl", "reasoning-machines/gsm-hard", split="train"),
            },
        ),
        _gsm_plus(
            "gsm_plus", "GSM-Plus testmini: GSM8K perturbed in seven ways; an answer may be 0.005 off", 2100, False,
            form="number", near=5e-3,  # gold answers are rounded to two places
        ),
        _gsm_plus(
            "gsm_plus_critical", "GSM-Plus testmini, critical thinking: right is to say that something is missing", 300,
            True, form="text", scoring="abstain",
        ),
        Task(
            "humaneval", "HumanEval: functions to be completed, tested by running them", "text",
            ("prompt", "canonical_solution"), _as_it_is, scoring="programs", style="complete", family="code", n=164,
            max_tokens=768, whole=True, details=("prompt", "entry_point", "test"),
            splits={"test": Source("code/humaneval.jsonl", "openai/openai_humaneval", ("openai_humaneval",))},
        ),
        Task(
            "ifeval", "IFEval: instructions that rules can check", "text", ("prompt", "key"), scoring="rules", n=541,
            style="bare", max_tokens=1280, whole=True, details=("instruction_id_list", "kwargs"), splits={
                "test": Source("ifeval/input_data.jsonl", "google/IFEval", split="train"),
            },
        ),
        Task(
            "math", "MATH: competition problems, sorted by subject", "math", ("problem", "solution"), boxed, version=2,
            family="competition", n=5000, max_tokens=2048, group="type", splits={
                "test": Source("math/test.jsonl", "EleutherAI/hendrycks_math", _MATH),
                "train": Source("math/train.jsonl", "EleutherAI/hendrycks_math", _MATH, "train"),
            },
        ),
        Task(
            "math500", "MATH-500: the problems of MATH that PRM800K keeps for testing", "math", ("problem", "answer"),
            version=2, family="competition", n=500, max_tokens=2048, group="subject",
            splits={"test": Source("math/math500.jsonl", "HuggingFaceH4/MATH-500")},
        ),
        Task(
            "mawps", "MAWPS: short word problems of four sets; an answer may be 0.001 off", "number",
            ("input", "target"), family="grade", n=2065, near=1e-3, group="type",
            splits={"test": Source("word_problems/mawps_test.jsonl", origin=f"{_HARNESS}/mawps/test.jsonl")},
        ),
        Task(
            "mbpp", "MBPP: short functions from a sentence and three tests, tested by running them", "text",
            ("text", "code"), _as_it_is, scoring="programs", style="complete", family="code", n=500,
            max_tokens=768, whole=True, compose=_file_begun, details=("test_setup_code", "test_list"),
            splits={"test": Source("code/mbpp_test.jsonl", "google-research-datasets/mbpp", ("full",))},
        ),
        Task(
            "svamp", "SVAMP: simple problems, varied in structure", "number", ("Question", "Answer"), family="grade",
            n=1000, before="Body", group="Type",
            splits={"test": Source("word_problems/svamp_test.jsonl", "ChilleD/SVAMP", split="train+test")},
        ),
        Task(
            "toy_chat", "toy world: word tasks in one instruction", "text", ("instruction", "output"), version=2,
            style="alpaca", max_tokens=80, toy="chat", input="input",
        ),
        Task(
            "toy_math", "toy world: word problems of one or two steps", "number", ("query", "response"), _after_phrase,
            version=2, style="alpaca", max_tokens=96, toy="math",
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


def question_of(task: Task, row: Mapping[str, Any]) -> str:
    """The question of a row. What stands before it is its own sentence: a full stop is put where it has no end mark."""
    question = text_of(row, task.fields[0])
    if task.compose is not None:
        return task.compose(row)
    if not task.before:
        return question
    story = text_of(row, task.before).strip()
    return f"{story}{'' if story.endswith(('.', '?', '!')) else '.'} {question.strip()}"


def gold_of(task: Task, row: Mapping[str, Any]) -> str:
    """The gold answer of a row: its field "gold", else taken from the task's own field."""
    if GOLD_FIELD in row:
        return text_of(row, GOLD_FIELD)
    found = task.gold(text_of(row, task.fields[1]))
    if found is None:
        raise InputError(f"field {task.fields[1]!r} holds no gold answer of {task.name}", remedy="check --task")
    return found
