from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.data.locate import VARIABLE
from deltakit.data.synthetic import generate
from deltakit.errors import InputError
from deltakit.grade.tasks import find_task
from deltakit.prompts import alpaca, metamath, prompt_style
from deltakit_eval.tasks.documents import TOY_COUNT, document, documents, load, resolve

GSM8K, BACKWARD, CHAT, MATH = (find_task(n) for n in ("gsm8k", "gsm8k_backward", "toy_chat", "math"))
ROWS = [{"question": f"What is {n} + 1?", "answer": f"So.\n#### {n + 1}"} for n in range(5)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that holds gsm8k/test.jsonl and nothing else."""
    folder = tmp_path / "data"
    (folder / "gsm8k").mkdir(parents=True)
    (folder / "gsm8k" / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def test_a_document_holds_what_is_asked_and_what_is_right() -> None:
    assert document(GSM8K, prompt_style("metamath"), 3, ROWS[0]) == {
        "line": 3, "question": "What is 0 + 1?", "prompt": metamath("What is 0 + 1?"), "gold": "1", "form": "number",
    }  # fmt: skip


def test_a_question_of_two_lines_is_asked_as_its_style_does() -> None:
    row = {"question": "A story with x.\nWhat is x?", "answer": "3"}
    assert document(BACKWARD, prompt_style("alpaca"), 1, row)["prompt"] == alpaca("A story with x.", "What is x?")
    assert document(BACKWARD, prompt_style("metamath"), 1, row)["prompt"] == metamath(row["question"])


def test_an_instruction_keeps_its_input_and_its_lines() -> None:
    row = {"instruction": "Do\nthis:", "input": "a b", "output": "b a"}
    assert document(CHAT, prompt_style("alpaca"), 1, row)["prompt"] == alpaca("Do\nthis:", "a b")


def test_where_documents_come_from(root: Path, tmp_path: Path) -> None:
    file = root / "gsm8k" / "test.jsonl"
    assert resolve(GSM8K) == resolve(GSM8K, root) == resolve(GSM8K, file) == file
    assert resolve(CHAT) is None
    assert resolve(CHAT, root) is None
    assert resolve(CHAT, file) == file


def test_data_that_is_not_there_is_an_error_even_for_a_toy_task(root: Path) -> None:
    for task in (GSM8K, MATH, CHAT):
        with pytest.raises(InputError, match=task.name):
            resolve(task, root / "gone")
    with pytest.raises(InputError, match="math/test.jsonl"):
        resolve(MATH, root)


def test_the_limit_keeps_the_first(root: Path) -> None:
    assert [d["line"] for d in documents(GSM8K, "metamath", limit=2)] == [1, 2]
    assert len(documents(GSM8K, "metamath")) == len(ROWS)


def test_bad_rows_are_an_error(root: Path) -> None:
    (root / "gsm8k" / "test.jsonl").write_text('{"question": "q", "answer": "#### 1"}\n{\n')
    with pytest.raises(InputError, match="1 of 2"):
        documents(GSM8K, "metamath")


def test_toy_documents_are_generated_from_seed_and_split() -> None:
    made = documents(CHAT, "alpaca", seed=3)
    assert len(made) == TOY_COUNT
    assert [d["question"] for d in made] == [r["instruction"] for r in generate("chat", "test", TOY_COUNT, 3)]
    assert documents(CHAT, "alpaca", seed=4) != made
    assert documents(CHAT, "alpaca", seed=3, split="ood", limit=5) != made[:5]


def test_without_local_data_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    asked: list[Any] = []

    def load_dataset(*where: str, split: str) -> list[dict[str, str]]:
        asked.append((*where, split))
        return ROWS

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    assert [d["gold"] for d in documents(GSM8K, "metamath", limit=2)] == ["1", "2"]
    assert asked == [("openai/gsm8k", "main", "test")]


def test_no_data_at_all_is_an_error_that_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    def load_dataset(*where: str, split: str) -> None:
        raise ConnectionError("offline")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(InputError, match="openai/gsm8k cannot be loaded: offline") as caught:
        documents(GSM8K, "metamath")
    assert VARIABLE in caught.value.remedy
    with pytest.raises(InputError, match="no local file math/test.jsonl"):
        documents(MATH, "metamath")


def test_lm_eval_gets_a_test_split_and_its_own_keys_are_let_through() -> None:
    split = load(source="toy_math", style="alpaca", limit=3, version=1, config_source="x.yaml", pretrained="y")["test"]
    assert len(split) == 3
    assert set(split.features) == {"line", "question", "prompt", "gold", "form"}


@pytest.mark.parametrize(
    ("name", "count"), [("gsm8k", 1319), ("gsm8k_backward", 1270), ("math", 5000), ("math500", 500)]
)
def test_real_files_are_read_whole(shared_data: Path, name: str, count: int) -> None:
    assert len(documents(find_task(name), "metamath", shared_data)) == count
