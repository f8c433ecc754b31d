from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deltakit.errors import InputError, RecipeError
from deltakit_cli.commands.grade import command

ROWS: list[dict[str, Any]] = [
    {"completion": "#### 5\nThe answer is: 5", "gold": "5"},
    {"completion": "The answer is: 4.9", "gold": "5"},
    {"completion": "Five, I think", "gold": "5"},
]


@pytest.fixture
def outputs(tmp_path: Path) -> str:
    file = tmp_path / "outputs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(file)


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), catch_exceptions=False)


def test_the_words(outputs: str) -> None:
    said = run("--task", "gsm8k", outputs).stdout
    assert "accuracy 33.33 %" in said
    assert "1 of 3" in said
    assert "answers found by: phrase 2" in said
    assert "no answer found: 1, lines 3" in said
    assert "judged differently" not in said


def test_another_grader_is_compared_with_exact_by_itself(outputs: str) -> None:
    said = run("--task", "gsm8k", outputs, "--grader", "metamath").stdout
    assert "accuracy 66.67 %" in said
    assert "exact: 33.33 %; 1 judged differently" in said
    assert "5 (right)" in said
    assert "4.9 (wrong)" in said
    assert "judged differently" not in run("--task", "gsm8k", outputs, "--grader", "metamath", "--no-diff").stdout


def test_the_data(outputs: str) -> None:
    done = run("--task", "gsm8k", outputs, "--diff", "metamath", "--format", "json")
    result = json.loads(done.stdout)
    assert (result["n"], result["correct"], result["no_answer"]) == (3, 1, [3])
    assert [item["line"] for item in result["differ"]] == [2]


def test_quiet_says_nothing(outputs: str) -> None:
    assert run("--task", "gsm8k", outputs, "--format", "quiet").output == ""


def test_one_output_has_no_standard_error(tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(ROWS[0]))
    said = run("--task", "gsm8k", str(file)).stdout
    assert "accuracy 100.00 %, 95 % interval" in said


def test_many_lines_without_an_answer_are_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps(ROWS[2]) + "\n" for _ in range(30)))
    said = run("--task", "gsm8k", str(file)).stdout
    assert "no answer found: 30" in said
    assert "20 and 10 more" in said


def test_wrong_use_and_bad_input_are_the_houses_errors(outputs: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="gsmk"):
        run("--task", "gsmk", outputs)
    with pytest.raises(RecipeError, match="exct"):
        run("--task", "gsm8k", outputs, "--grader", "exct")
    with pytest.raises(InputError, match="no file"):
        run("--task", "gsm8k", str(tmp_path / "gone.jsonl"))
    assert run(outputs).exit_code == 2


def test_the_real_outputs(shared_data: Path) -> None:
    fixtures = shared_data / "fixtures"
    small = run("--task", "gsm8k", str(fixtures / "gsm8k_metamath_7b_outputs.jsonl")).stdout
    assert "accuracy 66.72 %" in small
    large = run("--task", "gsm8k", str(fixtures / "gsm8k_metamath_70b_outputs.jsonl"), "--grader", "metamath").stdout
    assert "accuracy 82.41 %" in large
    assert "exact: 82.11 %; 4 judged differently" in large
    for wrong in ("5.857", "1.08", "2.25", "11.5"):
        assert f"{wrong} (wrong)" in large


def test_answers_in_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "o.jsonl"
    file.write_text(json.dumps({"completion": r"\boxed{x \in [red]}. The answer is: [1, 2]", "gold": "[1, 2]"}))
    said = run("--task", "math500", str(file), "--diff", "metamath").stdout
    assert "[1, 2] (right)" in said
    assert r"x \in [red] (wrong)" in said


def test_items_are_explained(outputs: str) -> None:
    wrong = run("--task", "gsm8k", outputs, "--explain", "wrong").stdout
    assert "differs: 4.9 vs 5" in wrong
    assert "no answer: no mark found" in wrong
    assert "the same number" not in wrong
    assert "the same number 5" in run("--task", "gsm8k", outputs, "--explain", "all").stdout
    data = json.loads(run("--task", "gsm8k", outputs, "--explain", "wrong", "--format", "json").stdout)
    assert [item["line"] for item in data["items"]] == [2, 3]


def test_several_columns_and_stored_verdicts(tmp_path: Path) -> None:
    file = tmp_path / "o.jsonl"
    row = {"truth": "A: 5", "a": {"s": "A: 5", "ok": True}, "b": {"s": "A: 6", "ok": True}}
    file.write_text(json.dumps(row))
    said = run(
        "--task", "gsm8k", str(file), "--field", "a.s", "--field", "b.s", "--gold", "truth", "--label", "ok"
    ).stdout
    assert "\na.s\naccuracy 100.00 %" in said
    assert "stored verdicts: 1 right; 1 of 1 are judged the same here" in said
    assert "stored verdicts: 1 right; 0 of 1 are judged the same here" in said
    assert "differs: 6 vs 5" in said


def test_long_tables_are_cut_and_said_to_be(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps(ROWS[1]) + "\n" for _ in range(130)))
    said = run("--task", "gsm8k", str(file), "--explain", "all").stdout
    assert "and 30 more" in said


def test_expressions_are_compared_by_value(tmp_path: Path) -> None:
    file = tmp_path / "o.jsonl"
    file.write_text(json.dumps({"completion": r"\boxed{2,1}", "gold": "1,2"}))
    said = run("--task", "math", str(file)).stdout
    assert "grader symbolic" in said
    assert "exact: 0.00 %; 1 judged differently" in said


def test_help_shows_an_example() -> None:
    assert "deltakit grade --task gsm8k outputs.jsonl" in run("--help").stdout
