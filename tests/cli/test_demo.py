"""deltakit demo: the whole road, with almost no training."""

import json
import shlex

import pytest

from deltakit_cli.commands import demo
from deltakit_cli.errors import guarded
from deltakit_cli.main import cli


def test_dry_run_shows_every_command_and_makes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert guarded(cli, ["demo", "--dry-run"]) == 0
    lines = capsys.readouterr().out.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("deltakit ")]
    verbs = {command[1] for command in commands}
    assert {"sft", "extract", "sparsify", "merge", "compress", "apply", "verify", "eval", "diff", "report"} <= verbs
    assert sum(command[1] == "eval" for command in commands) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_whole_road(tmp_path, monkeypatch, capsys):
    """Every step runs, the table has every row, the page is there; a second run does nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        demo, "QUICK", ("variables.records=64", "variables.steps=10", "variables.items=2", "variables.heal=2")
    )
    assert guarded(cli, ["demo", "-o", "out", "--quick"]) == 0
    out = capsys.readouterr().out
    assert "$ deltakit sft" in out
    assert "nothing was claimed" in out
    for text in ("expert", "DARE", "drop only", "merge", "expression", "codec", "svd_mixed", "keep 0.2"):
        assert text in out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    sizes = {m["name"]: m["bytes"] for m in results["models"]}
    for codec in ("lowrank", "svd_mixed"):
        assert 0.9 * sizes["codec: sign"] < sizes[f"codec: {codec}"] <= sizes["codec: sign"]
    assert sizes["expression: 0.7 math + 0.7 chat"] == sum(
        (tmp_path / "out" / f"{name}.delta").stat().st_size for name in ("math", "chat")
    )
    tight = [sizes[f"codec: {name}, a quarter"] for name in ("svd_mixed", "auto", "svd_mixed, inputs known")]
    assert max(tight) <= 44_000
    assert sizes["codec: svd_mixed, inputs known, healed, an eighth"] <= 22_000
    answers = json.loads((tmp_path / "out" / "tenants.json").read_text())
    assert len(answers["answers"]) == 6
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    assert guarded(cli, ["demo", "-o", "out", "--quick"]) == 0
    assert "0 of 37 steps ran" in capsys.readouterr().out


def test_what_does_not_hold_ends_with_code_6(tmp_path, monkeypatch, capsys):
    """The demo's own claims, against results that bear out none but the base's."""
    from deltakit.pipeline import Outcome
    from support.results import result, write_json

    small = ("codec: svd_mixed, a quarter", "codec: svd_mixed, inputs known, healed, an eighth")
    names = ("base", "expert: math", "expert: chat", "DARE: keep 0.2", "drop only: keep 0.2", *small)
    write_json(tmp_path / "results.json", result([(name, 1, 2, 2) for name in names]))
    monkeypatch.setattr("deltakit.pipeline.run_plan", lambda *args, **more: Outcome(()))
    assert guarded(cli, ["demo", "-o", str(tmp_path)]) == 6
    both = capsys.readouterr()
    assert both.out.count("holds: ") == 5  # the base's two, and three shares of as little
    assert "3 of 8 claims do not hold" in both.err
