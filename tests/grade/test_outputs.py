from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import InputError
from deltakit.grade.outputs import Column, Item, read_columns
from deltakit.grade.tasks import find_task

GSM8K = find_task("gsm8k")


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_several_fields_with_dots_labels_and_a_gold_rationale(tmp_path: Path) -> None:
    row = {
        "truth": "2 + 3 = 5\nA: 5", "a": {"said": "A: 5", "ok": True}, "b": {"said": "A: 6", "ok": False},
        "c.said": "7", "ok": True,
    }  # fmt: skip
    file = written(tmp_path / "o.jsonl", row)
    got = read_columns(file, GSM8K, ("a.said", "b.said", "c.said"), gold="truth", label="ok")
    assert got == [
        Column("a.said", (Item(1, "A: 5", "5", True),)),
        Column("b.said", (Item(1, "A: 6", "5", False),)),
        Column("c.said", (Item(1, "7", "5", True),)),
    ]


def test_a_gold_field_without_a_mark_is_taken_whole(tmp_path: Path) -> None:
    file = written(tmp_path / "o.jsonl", {"completion": "x", "truth": " 12 "})
    assert read_columns(file, GSM8K, gold="truth")[0].items[0].gold == "12"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"fields": ("a.gone",)}, "'gone' is absent"), ({"fields": ("b.said",)}, "'b.said' is absent"),
        ({"fields": ("a.said",), "gold": "gone"}, "'gone' is absent"),
        ({"fields": ("a.said",), "label": "word"}, "no true or false"),
        ({"fields": ("a.said",), "label": "gone"}, "no true or false"),
    ],
)  # fmt: skip
def test_what_a_row_lacks_is_said_with_its_line(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    file = written(tmp_path / "o.jsonl", {"a": {"said": "5"}, "gold": "5", "word": "yes"})
    with pytest.raises(InputError, match="1 of 1") as caught:
        read_columns(file, GSM8K, **options)
    assert caught.value.details[0].startswith("o.jsonl:1: ")
    assert why in caught.value.details[0]


def sample(said: list[str], target: Any = "5") -> dict[str, Any]:
    return {"doc_id": 0, "target": target, "responses": said, "filters": {}}


def result(**models: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "models": [
            {"name": name, "tasks": {task: {"samples": samples} for task, samples in tasks.items()}}
            for name, tasks in models.items()
        ]
    }


def test_results_of_eval_hold_one_column_a_model(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    whole = result(
        base={"gsm8k": [sample(["#### 4"])]}, tuned={"gsm8k": [sample(["#### 5", "#### 6"])], "toy_math": []}
    )
    file.write_text(json.dumps(whole, indent=1))
    assert read_columns(file, GSM8K) == [
        Column("base", (Item(1, "#### 4", "5"),)),
        Column("tuned", (Item(1, "#### 5", "5"),), drawn=2),
    ]


def test_a_style_of_the_task_is_its_own_column_and_another_task_is_none(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(result(base={"gsm8k:qa": [sample(["5"])], "gsm8k_backward": [sample(["6"])]})))
    assert [column.name for column in read_columns(file, GSM8K)] == ["base:qa"]


def test_results_without_the_task_or_with_bad_samples_are_errors(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(result(base={"toy_math": [sample(["5"])]})))
    with pytest.raises(InputError, match="no samples of gsm8k"):
        read_columns(file, GSM8K)
    file.write_text(json.dumps(result(base={"gsm8k": [sample([]), sample(["5"]), sample(["5"], None)]})))
    with pytest.raises(InputError, match="2 of 3"):
        read_columns(file, GSM8K)


def test_lm_evals_log_says_how_many_were_drawn(tmp_path: Path) -> None:
    row = {"doc_id": 0, "doc": {"gold": "5"}, "resps": [["#### 5", "#### 6", "#### 7"]], "filter": "x"}
    column = read_columns(written(tmp_path / "s.jsonl", row), GSM8K)[0]
    assert (column.drawn, column.items) == (3, (Item(1, "#### 5", "5"),))
