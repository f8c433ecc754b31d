import json
from pathlib import Path

import pytest

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.running import write_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("model") / "m")


def run(*argv: object) -> int:
    return guarded(cli, ["eval", *map(str, argv)])


QUICK = ("--limit", "3", "--max-new-tokens", "4")


def test_the_table_has_a_row_per_model_and_task(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model, f"{model} + 0.5*{model}", "--tasks", "toy_math,toy_chat", *QUICK) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == ["model", "task", "accuracy", "%,", "loss", "in", "nats", "n"]
    assert [row.split()[-5:] for row in rows[1:5]] == [
        ["toy_math", "0.0", "±", "0.0", "3"],
        ["toy_chat", "0.0", "±", "0.0", "3"],
    ] * 2


def test_json_and_the_output_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.json"
    held_out = tmp_path / "records.jsonl"
    held_out.write_text('{"query": "ask", "response": "say"}\n{"query": "ask", "response": "' + "x" * 2000 + '"}\n')
    given = ("--tasks", "toy_math", "--loss", held_out, "-o", out, *QUICK)
    assert run(model, *given, "--format", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["models"][0]["loss"]["records"] == 1
    assert "samples" not in shown["models"][0]["tasks"]["toy_math"]
    assert len(json.loads(out.read_bytes())["models"][0]["tasks"]["toy_math"]["samples"]) == 3
    assert run(model, *given) == 3
    assert "exists" in capsys.readouterr().err
    assert run(model, *given, "--overwrite") == 0
    said = capsys.readouterr().out
    assert "nats" in said
    assert "1 records above the context" in said
    assert f"wrote {out}" in said


def test_a_dry_run_checks_and_writes_nothing(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.json"
    assert run(model, "--tasks", "toy_math", "--limit", 7, "-o", out, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "7 answers in all" in said
    assert "weights, GB" in said
    assert list(tmp_path.iterdir()) == []
    out.write_text("mine")
    assert run(model, "--tasks", "toy_math", "-o", out, "--dry-run") == 3


def test_data_for_one_task(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "2+2?", "answer": "#### 4"}\n')
    assert run(model, "--tasks", "gsm8k", "--data", f"gsm8k={path}", "--max-new-tokens", "4", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["gsm8k"]["n"] == 1


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["nowhere", "--tasks", "toy_math"], 3, "nowhere"),
        (["nowhere", "--tasks", "toy_math", "--style", "alpca"], 2, "alpaca"),
        (["nowhere"], 2, "nothing to measure"),
        (["nowhere", "--tasks", "toy_math", "--limit", "0"], 2, "limit is 0"),
        (["nowhere", "--tasks", "toy_math", "--data", "gsm8k="], 2, "--data"),
        ([], 2, "MODEL"),
    ],
)
def test_wrong_usage_has_its_code(argv: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*argv) == code
    assert says in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "deltakit eval base=models/base math=models/math --tasks gsm8k" in capsys.readouterr().out


def test_several_answers_an_item_are_shown(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = ("--samples", 4, "--temperature", 1.0, "--top-k", 50, "--top-p", 0.9)
    assert run(model, "--tasks", "toy_math", *QUICK, *drawing) == 0
    said = capsys.readouterr().out
    assert {"avg@4", "maj@2", "maj@4", "pass@2", "pass@4"} <= set(said.split())
    assert "m, toy_math: 100.0% of the texts were cut at their limit of new tokens" in said
    assert run(model, "--tasks", "toy_math", *QUICK, "--samples", 4) == 2
    assert "temperature above 0" in capsys.readouterr().err


def test_a_cache_and_lm_evals_own_files(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = (model, "--tasks", "toy_math", *QUICK, "--cache", tmp_path / "answers", "--format", "json")
    assert run(*given, "--lm-eval-output", tmp_path / "theirs") == 0
    first = json.loads(capsys.readouterr().out)
    assert [Path(p).is_file() for p in first["lm_eval"]] == [True, True]
    assert (tmp_path / "answers" / "answers.jsonl").is_file()
    assert run(*given) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["models"][0]["tasks"] == first["models"][0]["tasks"]


def test_models_over_one_base_share_a_batch_where_asked(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = (model, f"{model} + 0.5*{model}", "--tasks", "toy_math", *QUICK, "--format", "json")
    assert run(*given, "--place", "mixed") == 0
    assert [m["place"] for m in json.loads(capsys.readouterr().out)["models"]] == ["mixed", "mixed"]
    assert run(*given, "--backend", "transformers") == 0
    assert [m["backend"] for m in json.loads(capsys.readouterr().out)["models"]] == ["transformers"] * 2


def test_models_are_compared_in_the_same_call(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = (f"one={model}", f"two={model} + 0.5*{model}", "--tasks", "toy_math", *QUICK, "--against", "one")
    assert run(*given) == 0
    assert "McNemar" in capsys.readouterr().out
    assert run(*given, "--format", "json") == 0
    compared = json.loads(capsys.readouterr().out)["compared"]
    assert [pair["model"] for pair in compared["pairs"]] == ["two"]
    assert run(*given[:-1], "tow") == 2
    assert "two" in capsys.readouterr().err
