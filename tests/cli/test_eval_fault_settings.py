"""Evaluating, fault by fault (1 of 2): settings that nothing heeds, folders that cannot be written, odd files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import call
from support.merge_world import refused
from support.running import write_folder

TASK = ("--tasks", "toy_math", "--limit", "2", "--max-new-tokens", "4")
ROLLING = """task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}}]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A task file of the user's own."""
    (tmp_path / "texts.jsonl").write_text('{"text": "one two three"}\n{"text": "four five"}\n')
    path = tmp_path / "mine.yaml"
    path.write_text(ROLLING.format(name="mine", data=tmp_path / "texts.jsonl"))
    return path


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--backend", "transformers", "--place", "mixed"), "serves one model at a time"),
        (("--allow-code-execution", "yes"), "code execution 'yes'"),
        (("--limit", "100000000"), "at most 100,000"),
        (("--data", "gsm8k=x.jsonl"), "known: deltakit_toy_math, toy_math\n"),
    ],
)
def test_settings_that_make_no_sense_here(model: Path, more: tuple[str, ...], says: str) -> None:
    refused(call("eval", model, *TASK, *more), 2, says)


@pytest.mark.parametrize(
    ("tasks", "more", "says"),
    [
        ("FILE", ("--split", "train"), "split is of our tasks"),
        ("FILE", ("--style", "qa"), "style 'qa': no task here takes it"),
        ("toy_math:qa", ("--style", "alpaca"), "style 'alpaca': no task here takes it"),
        ("toy_math:cot2", (), "toy_math: prompt style 'cot2' does not fit"),
    ],
)
def test_splits_and_styles_that_no_task_heeds(model: Path, mine: Path, tasks: str, more: tuple[str], says: str) -> None:
    refused(call("eval", model, "--tasks", tasks.replace("FILE", str(mine)), *more), 2, says)


def test_a_misspelt_task_is_told_before_its_split(model: Path) -> None:
    refused(call("eval", model, "--tasks", "toy_mth", "--split", "train"), 2, "unknown task 'toy_mth'", "toy_math")


def test_a_style_is_heeded_by_the_loss_alone(model: Path, mine: Path, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    records.write_text('{"query": "ask", "response": "say"}\n')
    assert call("eval", model, "--tasks", mine, "--loss", records, "--style", "qa").code == 0


def test_a_perplexity_is_no_percentage(model: Path, mine: Path) -> None:
    done = call("eval", model, "--tasks", f"{mine},toy_math", *TASK[2:])
    assert done.code == 0, done.err
    row = next(line for line in done.out.splitlines() if " mine " in line).split()
    assert row[-2:] == ["word_perplexity", "2"]
    found = call("eval", model, "--tasks", mine, "--format", "json").json["models"][0]["tasks"]["mine"]
    assert float(row[-3]) == pytest.approx(found["accuracy"], abs=1e-4)


def test_data_of_another_task_name_their_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(json.dumps({"prompt": "2+2?", "answer": "#### 4"}) + "\n")
    refused(
        call("eval", model, "--tasks", "gsm8k", "--data", path), 3, f"{path}: these are no items of gsm8k", "prompt"
    )
    refused(call("eval", model, *TASK, "--data", tmp_path / "nowhere"), 3, "is no file, nor a folder\n")


@pytest.mark.parametrize("option", ["--cache", "--lm-eval-output"])
def test_folders_that_answers_and_results_cannot_go_to(model: Path, option: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    refused(call("eval", model, *TASK, option, file), 3, "cannot create", str(file))
    assert file.read_text() == "mine"
    before = sorted(p.name for p in model.iterdir())
    for inside in (model, model / "deep"):
        refused(call("eval", model, *TASK, option, inside), 3, "lies inside the input")
        refused(call("eval", model, *TASK, option, inside, "--dry-run"), 3, "lies inside the input")
    assert sorted(p.name for p in model.iterdir()) == before


def test_a_folder_beside_the_models_is_no_input(model: Path) -> None:
    """A cache may hold the models' folder: only what lies inside a model would be taken for its own."""
    assert call("eval", model, *TASK, "--cache", model.parent).code == 0
    (model.parent / "answers.jsonl").unlink()
