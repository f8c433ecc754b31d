"""deltakit report from the command line."""

import json

import pytest
from click.testing import CliRunner

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.results import comparison, result, write_json


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "results.json", result())
    write_json(tmp_path / "diff.json", comparison())
    return tmp_path


def test_the_table_is_printed_and_the_page_written(here, capsys):
    argv = ["report", "results.json", "diff.json", "-o", "report.html", "--line", "base", "--title", "Mine"]
    assert guarded(cli, argv) == 0
    out = capsys.readouterr().out
    assert "experts" in out
    assert "94.0 ± 1.7" in out
    assert "wrote report.html: 5 sections" in out
    assert "<h1>Mine</h1>" in (here / "report.html").read_text()


def test_pictures_are_saved_where_asked(here, capsys):
    assert guarded(cli, ["report", "results.json", "-o", "r.md", "--plots", "plots"]) == 0
    assert "wrote plots: 6 pictures" in capsys.readouterr().out
    assert (here / "plots" / "bytes-toy_math.png").exists()


def test_without_an_output_it_only_prints(here, capsys):
    assert guarded(cli, ["report", "results.json"]) == 0
    assert "svd_mixed" in capsys.readouterr().out
    assert sorted(p.name for p in here.iterdir()) == ["diff.json", "results.json"]


def test_dry_run_writes_nothing(here, capsys):
    assert guarded(cli, ["report", "results.json", "-o", "r.html", "--plots", "p", "--dry-run"]) == 0
    assert "would write r.html" in capsys.readouterr().out
    assert sorted(p.name for p in here.iterdir()) == ["diff.json", "results.json"]


def test_json_holds_the_tables(capsys):
    assert guarded(cli, ["report", "results.json", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sections"][0]["columns"][0] == "model"
    assert found["sections"][0]["groups"][1] == "experts"


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["results.json", "--plots", "p"], 2, "--plots without -o"),
        (["results.json", "-o", "r.pdf"], 2, "unknown ending"),
        (["results.json", "--line", "bas"], 2, "did you mean 'base'"),
        (["none.json"], 3, "none.json"),
        (["results.json", "results.json"], 3, "already has a score"),
        (["results.json", "-o", "results.html", "--title"], 2, "--title"),
    ],
)
def test_wrong_use_has_its_code(argv, code, says, capsys):
    assert guarded(cli, ["report", *argv]) == code
    assert says in capsys.readouterr().err


def test_help_shows_examples():
    assert "deltakit report results.json -o report.html" in CliRunner().invoke(cli, ["report", "--help"]).output
