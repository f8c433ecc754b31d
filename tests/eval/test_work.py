import json
from pathlib import Path

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit_eval.work import LOSS, Settings, prepare


def records(folder: Path, n: int = 3) -> Path:
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps({"query": f"ask {i}", "response": f"say {i}"}) + "\n" for i in range(n)))
    return path


def test_tasks_and_records_are_counted_within_the_limit(tmp_path: Path) -> None:
    work = prepare(["toy_math"], Settings(limit=4), loss=records(tmp_path, 9))
    assert work.names == ["deltakit_toy_math", LOSS]
    assert work.items == 8


def test_identity_is_the_same_every_time_and_tells_documents_apart(tmp_path: Path) -> None:
    first = prepare(["toy_math"], Settings(limit=4), loss=records(tmp_path)).identity()
    assert prepare(["toy_math"], Settings(limit=4), loss=records(tmp_path)).identity() == first
    assert "0x" not in json.dumps(first)
    other = prepare(["toy_math"], Settings(limit=4, seed=1), loss=records(tmp_path, 2)).identity()
    for name in ("toy_math", LOSS):
        assert other["tasks"][name]["documents"] != first["tasks"][name]["documents"]


def test_local_data_leaves_no_path_in_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "2+2?", "answer": "#### 4"}\n')
    found = prepare(["gsm8k"], Settings(), data={"gsm8k": path}).identity()
    assert found["tasks"]["gsm8k"]["n"] == 1
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.parametrize("name", ["limit", "max_new_tokens", "batch_tokens", "max_rows"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=name):
        Settings(**{name: 0})


def test_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing to measure"):
        prepare([], Settings())
    with pytest.raises(RecipeError, match="style"):
        Settings(style="alpca")
    with pytest.raises(InputError):
        prepare([], Settings(), loss=tmp_path / "nothing.jsonl")


def test_a_scorer_of_the_users_own_counts_with_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    by = "majority(weights=\"program(entry='marks:count')\")"
    found = []
    for text in ("return [1.0 for a in answers]", "return [2.0 for a in answers]"):
        (tmp_path / "marks.py").write_text(f"def count(prompt, answers):\n    {text}\n")
        work = prepare(["toy_math"], Settings(limit=1, mode=f"best_of(n=2, by={by!r})"))
        found.append(work.identities()["deltakit_toy_math"])
        assert list(work.identity()["tasks"]["toy_math"]["programs"]) == ["marks"]
    assert found[0] != found[1]


def test_documents_that_examples_are_drawn_from_count(tmp_path: Path) -> None:
    settings = {
        "task": "shown", "dataset_path": "json", "output_type": "generate_until", "test_split": "test",
        "fewshot_split": "train", "num_fewshot": 1, "doc_to_text": "{{q}}", "doc_to_target": "{{a}}",
        "metric_list": [{"metric": "exact_match"}],
        "dataset_kwargs": {"data_files": {s: str(tmp_path / f"{s}.jsonl") for s in ("train", "test")}},
    }  # fmt: skip
    (tmp_path / "shown.yaml").write_text(json.dumps(settings))
    (tmp_path / "test.jsonl").write_text('{"q": "1 + 1", "a": "2"}\n')
    found = []
    for shown in ("3", "three"):
        (tmp_path / "train.jsonl").write_text(json.dumps({"q": "1 + 2", "a": shown}) + "\n")
        found.append(prepare([str(tmp_path / "shown.yaml")], Settings()).identities()["shown"])
    assert found[0] != found[1]
