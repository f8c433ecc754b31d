"""deltakit run from the command line: real commands in this process."""

import json
from pathlib import Path

import pytest

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.models import tiny_llama, tiny_tuned
from support.results import result, write_json

RECIPE = """deltakit: 1
pipeline: extract, sparsify, look
output: out
variables: {density: 0.5}
steps:
  - {name: extract, run: "extract base tuned -o {out}/d.delta"}
  - {name: sparsify, run: 'sparsify base {out}/d.delta --each "drop(density={density})" -o {out}/s.delta'}
  - {name: compare, run: 'diff base "base + {out}/s.delta" --format json', save: "{out}/diff.json"}
  - {name: refuse, run: "extract base base -o {out}/none.delta", expect: 6}
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tiny_tuned(tiny_llama(tmp_path / "base", seed=1), tmp_path / "tuned", seed=2)
    (tmp_path / "p.yaml").write_text(RECIPE)
    return tmp_path


def test_it_runs_and_then_skips(here, capsys):
    assert guarded(cli, ["run", "p.yaml"]) == 0
    out = capsys.readouterr().out
    assert "$ deltakit extract base tuned -o out/d.delta" in out
    assert "[4/4] refuse" in out
    assert len(json.loads((here / "out" / "diff.json").read_text())["tensors"]) > 3
    assert guarded(cli, ["run", "p.yaml"]) == 0
    assert capsys.readouterr().out.count("finished before, skipped") == 4


def test_another_variable_runs_what_depends_on_it(here, capsys):
    assert guarded(cli, ["run", "p.yaml"]) == 0
    before = (here / "out" / "diff.json").read_bytes()
    capsys.readouterr()
    assert guarded(cli, ["run", "p.yaml", "--set", "variables.density=0.25"]) == 0
    out = capsys.readouterr().out
    assert "$ deltakit sparsify base out/d.delta --each 'drop(density=0.25)' -o out/s.delta --overwrite" in out
    assert "[1/4] extract: finished before" in out
    assert (here / "out" / "diff.json").read_bytes() != before


def test_dry_run_prints_commands_and_makes_nothing(here, capsys):
    assert guarded(cli, ["run", "p.yaml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "deltakit diff base 'base + out/s.delta' --format json > out/diff.json" in out
    assert not (here / "out").exists()


def test_json_is_all_that_stdout_carries(here, capsys):
    assert guarded(cli, ["run", "p.yaml", "--format", "json"]) == 0
    both = capsys.readouterr()
    found = json.loads(both.out)
    assert [s["code"] for s in found["steps"]] == [0, 0, 0, 6]
    assert "$ deltakit extract" in both.err


def test_the_first_failure_stops_with_its_error_and_code(here, capsys):
    (here / "tuned" / "model.safetensors").unlink()
    assert guarded(cli, ["run", "p.yaml"]) == 3
    err = capsys.readouterr().err
    assert "tuned" in err.splitlines()[0]
    assert "pipeline stopped at step 'extract' (1 of 4): exit code 3" in err


def test_a_misspelt_step_is_found_before_the_first_one_runs(here, capsys):
    text = RECIPE.replace("run: 'diff", "run: 'dif").replace("--each", "--ech")
    (here / "p.yaml").write_text(text)
    assert guarded(cli, ["run", "p.yaml"]) == 2
    err = capsys.readouterr().err
    assert "step 'sparsify': No such option" in err
    assert "step 'compare': no verb 'dif'; did you mean 'diff'?" in err
    assert not (here / "out").exists()


def test_claims_that_do_not_hold_end_with_code_6(here, capsys):
    write_json(here / "results.json", result([("m", 1, 190, 0)]))
    claims = """results: results.json
claims:
  - {say: math is learnt, model: m, task: toy_math, above: 0.9}
  - {say: chat is learnt, model: m, task: toy_chat, above: 0.9}
steps: [{name: list, run: ls codecs}]
"""
    (here / "p.yaml").write_text("deltakit: 1\npipeline: p\noutput: out\n" + claims)
    assert guarded(cli, ["run", "p.yaml"]) == 6
    both = capsys.readouterr()
    assert "holds: math is learnt" in both.out
    assert "DOES NOT HOLD: chat is learnt" in both.out
    assert "1 of 2 claims do not hold" in both.err


def test_overwrite_runs_everything_again(here, capsys):
    assert guarded(cli, ["run", "p.yaml"]) == 0
    capsys.readouterr()
    assert guarded(cli, ["run", "p.yaml", "--overwrite"]) == 0
    out = capsys.readouterr().out
    assert "skipped" not in out
    assert out.count("--overwrite") == 2
