from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deltakit.data.synthetic import generate
from deltakit.errors import InputError, RecipeError
from deltakit.grade.graders import Exact
from deltakit.grade.tasks import TASKS, Task, find_task, gold_of, question_of, text_of
from deltakit.prompts import prompt_style


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_is_whole(task: Task) -> None:
    assert prompt_style(task.style, task.family)
    assert task.style in task.styles
    assert task.about
    assert task.version > 0
    assert task.max_tokens > 0
    assert bool(task.splits) != bool(task.toy), "each task has one place for its data"
    assert bool(task.n) == bool(task.splits)
    for split in task.splits:
        source = task.source(split)
        assert source.file
        assert source.hub or source.origin, "an error can say where the file comes from"


def test_a_split_that_is_not_there_is_named() -> None:
    assert TASKS["gsm8k"].source("train").file == "gsm8k/train.jsonl"
    with pytest.raises(RecipeError, match="svamp has no split 'train'"):
        TASKS["svamp"].source("train")


def test_a_story_before_the_question_ends_like_a_sentence() -> None:
    svamp = TASKS["svamp"]
    for body, whole in (("He has 3.", "He has 3. How many?"), ("If he has 3 ", "If he has 3. How many?")):
        assert question_of(svamp, {"Body": body, "Question": "How many?"}) == whole
    assert question_of(TASKS["gsm8k"], {"question": " as it is "}) == " as it is "
    with pytest.raises(InputError, match="'Body' is absent"):
        question_of(svamp, {"Question": "How many?"})


def test_a_row_is_of_one_half_of_gsm_plus() -> None:
    row = {"perturbation_type": "critical thinking"}
    assert [TASKS[name].takes(row) for name in ("gsm_plus", "gsm_plus_critical", "gsm8k")] == [False, True, True]


def test_names_with_and_without_the_prefix() -> None:
    assert find_task("deltakit_gsm8k") is find_task("gsm8k")
    with pytest.raises(RecipeError, match="gsmk") as caught:
        find_task("gsmk")
    assert "'gsm8k'" in caught.value.remedy


@pytest.mark.parametrize(
    ("task", "row", "gold"),
    [
        ("gsm8k", {"answer": "2 + 3 = 5.\n#### 5"}, "5"),
        ("gsm8k", {"answer": "#### 2,125"}, "2,125"),
        ("gsm8k", {"gold": "7", "answer": "#### 5"}, "7"),
        ("gsm8k", {"gold": 7}, "7"),
        ("gsm8k", {"gold": 7.5}, "7.5"),
        ("gsm8k_backward", {"answer": "80000"}, "80000"),
        ("math", {"solution": r"First $\boxed{1}$, so $\boxed{\frac{1}{2}}$."}, r"\frac{1}{2}"),
        ("math500", {"answer": r"\pi"}, r"\pi"),
        ("svamp", {"Answer": 145.0}, "145.0"),
        ("gsm_plus_critical", {"answer": "None"}, "None"),
        ("toy_math", {"response": "First 1 + 2 = 3.\nThe answer is: 3"}, "3"),
        ("toy_chat", {"output": "sun cat"}, "sun cat"),
    ],
)
def test_where_the_gold_answer_stands(task: str, row: Mapping[str, Any], gold: str) -> None:
    assert gold_of(find_task(task), row) == gold


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("gsm8k", {"question": "q"}, "'answer' is absent"),
        ("gsm8k", {"answer": "so\n####"}, "no gold answer of gsm8k"),
        ("math", {"solution": "no box"}, "no gold answer of math"),
        ("gsm8k", {"gold": None}, "'gold' is NoneType"),
        ("gsm8k", {"gold": True}, "'gold' is bool"),
    ],
)
def test_a_row_without_a_gold_answer_is_an_error(task: str, row: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gold_of(find_task(task), row)


def test_text_of_lists_the_fields_there_are() -> None:
    with pytest.raises(InputError) as caught:
        text_of({"b": "x", "a": "y"}, "c")
    assert "a, b" in caught.value.remedy


@pytest.mark.parametrize("task", [t for t in TASKS.values() if t.toy], ids=lambda t: t.name)
def test_the_toy_worlds_own_answers_are_right(task: Task) -> None:
    for row in generate(task.toy, "test", 30):
        assert Exact().grade(row[task.fields[1]], gold_of(task, row), task.form).correct


@pytest.mark.parametrize(
    ("name", "solution", "count", "wrong"),
    [("gsm8k", "answer", 1319, 0), ("math500", "solution", 500, 0), ("math", "solution", 5000, 0)],
)
def test_the_real_gold_solutions_are_graded_right(
    shared_data: Path, name: str, solution: str, count: int, wrong: int
) -> None:
    task = find_task(name)
    rows = [json.loads(line) for line in (shared_data / task.file).read_text(encoding="utf-8").splitlines()]
    verdicts = [Exact().grade(row[solution], gold_of(task, row), task.form) for row in rows]
    assert (len(verdicts), sum(not v.correct for v in verdicts)) == (count, wrong)
