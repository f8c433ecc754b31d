from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit_eval.tasks.names import PREFIX, full_names, task_names
from deltakit_eval.tasks.stock import load_stock, mentioned

pytest.importorskip("lm_eval")


class Manager:
    """An index of two names, that says whether it was built."""

    built = 0
    all_tasks = ("arc_easy", "gsm8k_cot")

    def __init__(self, **_: Any) -> None:
        Manager.built += 1

    def load(self, names: list[str]) -> dict[str, Any]:
        return {"tasks": dict.fromkeys(names, "loaded")}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> type[Manager]:
    monkeypatch.setattr("lm_eval.tasks.TaskManager", Manager)
    Manager.built = 0
    return Manager


def test_names_of_lm_evals_own_are_looked_up_in_its_index(index: type[Manager]) -> None:
    assert load_stock("arc_easy") == {"arc_easy": "loaded"}
    assert load_stock("gsm8k_cot") == {"gsm8k_cot": "loaded"}, "close to ours, yet its own"
    assert index.built == 2


@pytest.mark.parametrize(
    ("name", "meant"), [("deltakit_gsm9k", "gsm8k"), ("gsm8kk", "gsm8k"), ("svmp", "svamp"), ("gsmk8:cot8", "gsm8k")]
)
def test_a_misspelt_name_of_ours_suggests_without_the_index(index: type[Manager], name: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=name) as caught:
        load_stock(name)
    assert f"'{meant}'" in caught.value.remedy
    assert index.built == 0


def test_what_is_close_to_nothing_of_ours_is_looked_up_and_suggests(index: type[Manager]) -> None:
    with pytest.raises(RecipeError, match="arc_eazy") as caught:
        load_stock("arc_eazy")
    assert "'arc_easy'" in caught.value.remedy
    with pytest.raises(RecipeError, match="qqqq") as caught:
        load_stock("qqqq")
    assert caught.value.remedy == f"known: {', '.join(task_names())}"


def test_none_of_our_names_is_in_lm_evals_own_task_files() -> None:
    import lm_eval.tasks

    files = Path(lm_eval.tasks.__file__).parent.rglob("*.y*ml")
    named = re.compile(r"^\s*-?\s*(?:task|group|tag|task_alias):\s*[\"']?([\w:.-]+)", re.MULTILINE)
    theirs = {name for file in files for name in named.findall(file.read_text(encoding="utf-8", errors="replace"))}
    assert {"gsm8k", "arc_easy", "mmlu"} <= theirs, "their names are read"
    assert not theirs & set(full_names())
    assert not [name for name in theirs if name.startswith(PREFIX)]


def test_a_name_is_looked_for_in_the_files_themselves() -> None:
    assert mentioned("gsm8k_cot")
    assert not mentioned("gsm8k_of_ours_alone")


def test_a_task_file_must_be_there_and_be_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no task file"):
        load_stock(str(tmp_path / "gone.yaml"))
    (tmp_path / "no.yaml").write_text("hello: world\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_stock(str(tmp_path / "no.yaml"))


def test_the_text_of_a_file_is_scored_by_its_likelihood(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "one two"}\n')
    (tmp_path / "rolling.yaml").write_text(
        f"task: rolling\ndataset_path: json\ndataset_kwargs:\n  data_files: {{test: {tmp_path}/texts.jsonl}}\n"
        "output_type: loglikelihood_rolling\ntest_split: test\ndoc_to_text: ''\ndoc_to_target: text\n"
        "metric_list:\n  - metric: word_perplexity\n"
    )
    task = load_stock(str(tmp_path / "rolling.yaml"))["rolling"]
    assert task.OUTPUT_TYPE == "loglikelihood_rolling"
    assert len(task.eval_docs) == 1
