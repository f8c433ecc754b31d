from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.data.locate import VARIABLE
from deltakit.data.synthetic import generate
from deltakit.errors import InputError, RecipeError
from deltakit.grade.numbers import parse_number
from deltakit.grade.tasks import TASKS, Task, find_task
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
        "near": 0.0, "details": "", "group": "",
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
    with pytest.raises(InputError, match="no local file word_problems/mawps_test.jsonl") as caught:
        documents(find_task("mawps"), "metamath")
    assert "github.com" in caught.value.remedy


def test_lm_eval_gets_a_test_split_and_its_own_keys_are_let_through() -> None:
    split = load(source="toy_math", style="alpaca", limit=3, version=1, config_source="x.yaml", pretrained="y")["test"]
    assert len(split) == 3
    assert set(split.features) == {"line", "question", "prompt", "gold", "form", "near", "details", "group"}


@pytest.mark.parametrize(
    "task", [task for task in TASKS.values() if task.splits and task.n], ids=lambda task: task.name
)
def test_real_files_are_read_whole(shared_data: Path, task: Task) -> None:
    found = documents(task, task.style, shared_data)
    assert len(found) == task.n
    if task.form == "number":
        assert all(parse_number(doc["gold"]) is not None for doc in found)
    assert all(doc["group"] for doc in found) is bool(task.group)


@pytest.mark.parametrize(("name", "count"), [("gsm8k", 7473), ("math", 7500)])
def test_the_training_split_is_another_file(shared_data: Path, name: str, count: int) -> None:
    task = find_task(name)
    found = documents(task, "metamath", shared_data, split="train")
    assert len(found) == count
    asked = {doc["question"] for doc in documents(task, "metamath", shared_data)}
    assert not asked & {doc["question"] for doc in found}


def test_a_split_that_a_task_does_not_have_is_an_error(root: Path) -> None:
    with pytest.raises(RecipeError, match="no split 'validation'") as caught:
        documents(GSM8K, "metamath", split="validation")
    assert "test, train" in caught.value.remedy


def test_a_part_is_drawn_by_the_seed_from_all_and_keeps_its_order(root: Path) -> None:
    rows = [{"question": f"What is {n} + 1?", "answer": f"#### {n + 1}"} for n in range(400)]
    (root / "gsm8k" / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    lines = [doc["line"] for doc in documents(GSM8K, "metamath", subset=50, seed=1)]
    assert len(set(lines)) == 50
    assert lines == sorted(lines)
    assert lines == [doc["line"] for doc in documents(GSM8K, "metamath", subset=50, seed=1)]
    assert lines != [doc["line"] for doc in documents(GSM8K, "metamath", subset=50, seed=2)]
    assert 100 < sum(lines) / 50 < 300, "from all over the file"
    assert len(documents(GSM8K, "metamath", subset=1000)) == 400
    with pytest.raises(RecipeError, match="both"):
        documents(GSM8K, "metamath", limit=5, subset=5)


def test_rows_of_a_file_that_belong_to_another_task_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "plus.jsonl"
    kinds = ["critical thinking", "digit expansion", "critical thinking"]
    rows = [{"question": f"{i}?", "answer": "None", "perturbation_type": kind} for i, kind in enumerate(kinds)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    plus, critical = find_task("gsm_plus"), find_task("gsm_plus_critical")
    assert [doc["line"] for doc in documents(critical, "metamath", file, limit=2)] == [1, 3]
    assert [doc["line"] for doc in documents(plus, "metamath", file)] == [2]


def test_what_scoring_needs_besides_goes_along_as_json(tmp_path: Path) -> None:
    file = tmp_path / "rules.jsonl"
    row = {"key": 1, "prompt": "Say it.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    file.write_text(json.dumps(row) + "\n")
    (doc,) = documents(find_task("ifeval"), "bare", file)
    assert json.loads(doc["details"]) == {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    file.write_text(json.dumps({"key": 1, "prompt": "Say it."}) + "\n")
    with pytest.raises(InputError, match="instruction_id_list"):
        documents(find_task("ifeval"), "bare", file)


def test_the_parts_of_a_hub_repository_are_read_in_their_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    def load_dataset(repository: str, part: str, split: str) -> list[dict[str, str]]:
        return [{"problem": f"{repository} {part} {split}", "solution": r"\boxed{1}", "type": part}] * 2

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    found = documents(MATH, "metamath", split="train", limit=3)
    assert [doc["question"].split()[1:] for doc in found] == [
        ["algebra", "train"], ["algebra", "train"], ["counting_and_probability", "train"],
    ]  # fmt: skip
    assert [doc["line"] for doc in found] == [1, 2, 3]


def test_an_instruction_of_several_lines_stays_whole() -> None:
    row = {"key": 1, "prompt": "Write this:\n- one", "instruction_id_list": [], "kwargs": []}
    assert document(find_task("ifeval"), prompt_style("alpaca"), 1, row)["prompt"] == alpaca("Write this:\n- one")


def test_as_many_items_are_generated_as_are_drawn() -> None:
    assert len(documents(find_task("toy_math"), "alpaca", subset=TOY_COUNT + 50)) == TOY_COUNT + 50
    with pytest.raises(RecipeError, match="nowhere"):
        documents(find_task("toy_math"), "alpaca", split="nowhere")
