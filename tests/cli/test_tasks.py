from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltakit.data.locate import VARIABLE
from deltakit.errors import RecipeError
from deltakit.grade.tasks import TASKS
from deltakit_cli.tasks import about_task, listed_tasks


def test_the_list_says_how_each_task_can_be_asked() -> None:
    listed = {item["name"]: item for item in listed_tasks()}
    assert list(listed) == sorted(TASKS)
    assert listed["gsm8k"]["n"] == 1319
    assert listed["gsm8k"]["style"] in listed["gsm8k"]["styles"]
    assert {"cot8", "hsp2", "chat"} <= set(listed["gsm8k"]["styles"])
    assert listed["toy_math"]["n"] is None
    assert json.loads(json.dumps(listed)) == listed


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_is_explained_without_any_data(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    told = about_task(name)
    assert told is not None
    assert told["facts"]["lm-eval"] == f"deltakit_{name}"
    assert (told["prompt"] is None) is bool(TASKS[name].splits)
    assert json.loads(json.dumps(told)) == told
    assert all("not here" in told["facts"][f"data, {split}"] for split in TASKS[name].splits)


def test_a_style_shows_its_prompt_and_where_the_data_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k/test.jsonl").write_text('{"question": "How many?", "answer": "#### 3"}\n')
    told = about_task("gsm8k:cot2")
    assert told is not None
    assert told["prompt"].endswith("\n\nQ: How many?\nA:")
    assert told["prompt"] in told["text"]
    assert told["facts"]["data, test"] == str(tmp_path / "gsm8k/test.jsonl")
    assert "DELTAKIT_DATA" in told["facts"]["data, train"]
    assert told["facts"]["score"] == "exact_match,marked"
    (tmp_path / "gsm8k/test.jsonl").write_text("{\n")
    broken = about_task("gsm8k")
    assert broken is not None
    assert broken["prompt"] is None


def test_names_that_are_no_tasks() -> None:
    assert about_task("dare_ties") is None
    with pytest.raises(RecipeError, match="cot9"):
        about_task("gsm8k:cot9")


def test_the_how_to_lists_every_task_and_style() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/evaluation.md").read_text()
    part = page.partition("## Tasks and data")[2].partition("\n## ")[0]
    styles = {style for task in TASKS.values() for style in task.styles}
    assert not [name for name in [*TASKS, *styles - {"cot4", "cot8"}] if f"`{name}`" not in part]
