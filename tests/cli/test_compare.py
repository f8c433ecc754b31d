"""deltakit compare from the command line."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.paired import about, model, paired_result, task
from support.results import write_json

ROOT = Path(__file__).resolve().parents[2]
MODELS = {"base": "1" * 30 + "0" * 30, "good": "1" * 45 + "0" * 15, "bad": "1" * 10 + "0" * 50, "like": "0" + "1" * 59}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "all.json", paired_result(MODELS))
    write_json(tmp_path / "old.json", paired_result({"m": MODELS["base"]}))
    write_json(tmp_path / "new.json", paired_result([model("m", MODELS["bad"], dtype="bfloat16")]))
    return tmp_path


def test_the_table_says_who_is_better_and_by_how_much(here, capsys):
    assert guarded(cli, ["compare", "all.json"]) == 0
    out = capsys.readouterr().out
    assert "base (reference)" in out
    assert "+25.0 [+13.2, +35.7]" in out
    assert "worse" in out
    assert "3 comparisons" in out
    assert sorted(p.name for p in here.iterdir()) == ["all.json", "new.json", "old.json"]


def test_two_runs_of_one_name_with_warnings_and_items(capsys):
    assert guarded(cli, ["compare", "old.json", "new.json", "--show", "2"]) == 0
    out = capsys.readouterr().out
    assert "m (old.json) (reference)" in out
    assert "warning: dtype differs: float32 (m (old.json)), bfloat16 (m (new.json))" in out
    assert "toy_math: m (new.json) lost 20 of 60, 2 shown:" in out
    assert "question: What is 10 + 10?" in out


def test_outputs_in_every_format(here, capsys):
    argv = ["compare", "all.json", "--against", "good", "--title", "Mine", "--line", "base", "--plots", "plots"]
    assert guarded(cli, [*argv, "-o", "c.json", "-o", "c.html", "-o", "c.md"]) == 0
    assert "wrote c.html" in capsys.readouterr().out
    found = json.loads((here / "c.json").read_text())
    assert (found["reference"], len(found["pairs"]), len(found["pairs"][0]["items"])) == ("good", 3, 15)
    page = (here / "c.html").read_text()
    assert "<h1>Mine</h1>" in page
    assert page.count("<details>") > 0
    card = (here / "c.md").read_text()
    assert "| base | 60 |" in card
    assert "- document" not in card
    assert (here / "plots" / "differences-1.png").exists()


def test_json_on_stdout_has_the_statistics_without_items(capsys):
    assert guarded(cli, ["compare", "all.json", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [p["verdict"] for p in found["pairs"]] == ["better", "worse", "better"]
    assert "items" not in found["pairs"][0]


def test_dry_run_writes_nothing(here, capsys):
    assert guarded(cli, ["compare", "all.json", "-o", "c.html", "--dry-run"]) == 0
    assert "would write c.html" in capsys.readouterr().out
    assert not (here / "c.html").exists()


def test_a_gate_for_continuous_integration(here, capsys):
    argv = ["compare", "all.json#base", "all.json#bad", "--assert-not-worse", "-o", "c.md"]
    assert guarded(cli, argv) == 6
    told = capsys.readouterr()
    assert "bad on toy_math: p = " in told.err
    assert "worse" in told.out
    assert (here / "c.md").exists()
    assert guarded(cli, ["compare", "all.json#base", "all.json#good", "--assert-not-worse"]) == 0
    equal = ["compare", "all.json#base", "all.json#base", "old.json", "--assert-not-worse", "--margin"]
    assert guarded(cli, [*equal, "1"]) == 6
    assert "not shown to be within 1 points" in capsys.readouterr().err
    assert guarded(cli, [*equal, "10"]) == 0


def test_results_in_lm_evals_format_are_compared_too(here, capsys):
    from deltakit_eval.lm_eval_format import write_lm_eval_format

    write_lm_eval_format(json.loads((here / "old.json").read_text()), here / "lm")
    assert guarded(cli, ["compare", "lm", "all.json#good", "--format", "json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (pair["task"], pair["n"], pair["gained"], pair["metric"]) == ("toy_math", 60, 15, "exact_match,marked")


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["old.json"], 3, "one model alone"),
        (["none.json"], 3, "none.json"),
        (["all.json", "--against", "bas"], 2, "did you mean 'base'"),
        (["all.json#goo", "old.json"], 2, "did you mean 'good'"),
        (["all.json", "--line", "goo"], 2, "did you mean 'good'"),
        (["all.json", "--tasks", "toymath"], 2, "did you mean"),
        (["all.json", "--metric", "exact_match,mark"], 3, "no metric"),
        (["all.json", "-o", "c.pdf"], 2, "unknown ending"),
        (["all.json", "--plots", "p"], 2, "--plots without a page"),
        (["all.json", "--margin", "1"], 2, "--margin without --assert-not-worse"),
        (["cut.json", "all.json"], 3, "cut.json is not JSON"),
        (["diff.json", "all.json"], 3, "diff.json: no result of an evaluation"),
        (["bare.json"], 3, "results without samples"),
        (["chat.json", "old.json"], 3, "no task in common"),
        (["other.json", "old.json"], 3, "no item in common"),
        (["nan.json", "old.json"], 3, "scores of n are not finite"),
    ],
)
def test_bad_input_has_its_code_and_words(argv, code, says, here, capsys):
    (here / "cut.json").write_text((here / "all.json").read_text()[:500])
    write_json(here / "diff.json", {"tensors": []})
    write_json(
        here / "bare.json", paired_result([model(n, "", tasks={"toy_math": task("1", samples=[])}) for n in "ab"])
    )
    chat = [model("c", "", tasks={"toy_chat": task("10")})]
    write_json(here / "chat.json", paired_result(chat, tasks={"toy_chat": about(task="deltakit_toy_chat")}))
    samples = [{**s, "doc_hash": f"x{s['doc_id']}", "target": "other"} for s in task("10")["samples"]]
    write_json(here / "other.json", paired_result([model("o", "", tasks={"toy_math": task("10", samples=samples)})]))
    write_json(here / "nan.json", paired_result({"n": [float("nan")] * 60}))
    assert guarded(cli, ["compare", *argv]) == code
    assert says in capsys.readouterr().err
    assert not (here / "c.pdf").exists()


def test_help_shows_examples():
    assert "deltakit compare results.json --against base" in CliRunner().invoke(cli, ["compare", "--help"]).output


def test_the_commands_of_the_how_to_run(here):
    from deltakit_eval.lm_eval_format import write_lm_eval_format

    page = (ROOT / "docs" / "evaluation.md").read_text().partition("## Comparing")[2]
    block = page.partition("```bash\n")[2].partition("```")[0]
    result = paired_result({**MODELS, "ties": MODELS["like"]})
    result["tasks"]["toy_math"]["config"]["task"] = "gsm8k"
    for name in ("results.json", "old.json", "new.json"):
        write_json(here / name, result)
    write_lm_eval_format(result, here / "lm-eval-output")
    lines = block.strip().splitlines()
    assert len(lines) == 3
    for line in lines:
        words = ["toy_math" if word == "gsm8k" else word for word in shlex.split(line)]
        assert guarded(cli, words[1:]) == 0
    assert all((here / f"compare.{ending}").exists() for ending in ("json", "html", "md"))
