"""deltakit data toy from the command line."""

import json

import pytest

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.cli import call


@pytest.mark.parametrize(("task", "key"), [("math", "query"), ("chat", "instruction"), ("base", "text")])
def test_records_of_the_toy_world(task, key, tmp_path, capsys):
    out = tmp_path / "r.jsonl"
    assert guarded(cli, ["data", "toy", task, "--count", "5", "-o", str(out)]) == 0
    assert "5 records" in capsys.readouterr().out
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(records) == 5
    assert all(key in record for record in records)


def test_an_existing_file_is_kept_unless_told(tmp_path, capsys):
    out = tmp_path / "r.jsonl"
    out.write_text("mine")
    argv = ["data", "toy", "math", "--count", "2", "-o", str(out)]
    assert guarded(cli, argv) == 3
    assert out.read_text() == "mine"
    assert guarded(cli, [*argv, "--overwrite", "--format", "quiet"]) == 0
    assert len(out.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "argv", [["toy", "physics", "--count", "1"], ["toy", "math", "--count", "0"], ["toy", "math"], ["ty"]]
)
def test_wrong_use_is_code_2(argv, tmp_path):
    assert guarded(cli, ["data", *argv, *(["-o", str(tmp_path / "x")] if argv[0] == "toy" else [])]) == 2


def test_a_dry_run_writes_nothing_and_refuses_what_the_run_would(tmp_path):
    done = call("data", "toy", "math", "--count", 3, "-o", tmp_path / "new" / "x.jsonl", "--dry-run")
    assert (done.code, list(tmp_path.iterdir())) == (0, [])
    assert "would write" in done.out
    (tmp_path / "x.jsonl").write_text("mine")
    assert call("data", "toy", "math", "--count", 3, "-o", tmp_path / "x.jsonl", "--dry-run").code == 3
