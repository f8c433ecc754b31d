"""deltakit compress. Run: pytest tests/cli/test_compress.py"""

from __future__ import annotations

import json

import pytest

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli


def run(capsys, *args):
    code = guarded(cli, ["compress", *map(str, args)])
    return code, *capsys.readouterr()


def test_the_whole_road(tiny_base, tiny_grown, tmp_path, capsys):
    out = tmp_path / "a"
    code, stdout, _ = run(capsys, tiny_base, tiny_grown, "--ratio", "8", "-o", out, "--format", "json")
    made = json.loads(stdout)
    assert code == 0
    assert made["bytes"] == out.stat().st_size
    assert made["payload_ratio"] >= 8 > made["file_ratio"]
    assert made["bits_per_parameter"] == pytest.approx(16 / made["payload_ratio"])
    assert made["codec"] == "svd_mixed(bands='', rounds=3)"
    assert made["kinds"]["lm_head.weight"] == "lowrank+raw"


def test_both_ratios_are_printed(tiny_base, tiny_grown, tmp_path, capsys):
    out = tmp_path / "a"
    code, stdout, _ = run(capsys, tiny_base, tiny_grown, "--codec", "sign", "-o", out, "--format", "human")
    assert code == 0
    assert f"{out.stat().st_size:,} bytes" in stdout
    assert "of the fine-tune" in stdout
    assert "ratio 15." in stdout
    assert "bits per parameter, everything counted" in stdout


def test_bytes_bound_the_file(tiny_base, tiny_grown, tmp_path, capsys):
    out = tmp_path / "a"
    code, _, _ = run(capsys, tiny_base, tiny_grown, "--codec", "lowrank", "--bytes", "15000", "-o", out)
    assert code == 0
    assert 14_500 < out.stat().st_size <= 15_000


def test_bytes_may_name_a_file_to_be_no_larger_than(tiny_base, tiny_grown, tmp_path, capsys):
    (tmp_path / "other").write_bytes(bytes(15000))
    argv = (tiny_base, tiny_grown, "--codec", "lowrank", "-o", tmp_path / "a", "--bytes")
    assert run(capsys, *argv, tmp_path / "other")[0] == 0
    assert 14_500 < (tmp_path / "a").stat().st_size <= 15_000
    code, _, err = run(capsys, *argv, tmp_path / "none")
    assert code == 2
    assert "neither a number nor a file" in err


@pytest.mark.parametrize("size", [("--ratio", "8"), ("--bytes", "15000")])
def test_a_dry_run_writes_nothing(tiny_base, tiny_grown, tmp_path, capsys, size):
    out = tmp_path / "a"
    code, stdout, _ = run(capsys, tiny_base, tiny_grown, *size, "-o", out, "--dry-run", "--format", "json")
    plan = json.loads(stdout)
    assert code == 0
    assert list(tmp_path.iterdir()) == []
    assert {r["action"] for r in plan["rows"]} <= {"codec", "exact", "unchanged"}
    code, stdout, _ = run(capsys, tiny_base, tiny_grown, *size, "-o", out, "--dry-run", "--format", "human")
    assert code == 0
    assert "would write" in stdout


def test_quiet_is_quiet(tiny_base, tiny_grown, tmp_path, capsys):
    assert run(capsys, tiny_base, tiny_grown, "--codec", "sign", "-o", tmp_path / "a", "--format", "quiet") == (
        0,
        "",
        "",
    )


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--codec", "svdmixed", "--ratio", "8"], 2, "svd_mixed"),
        (["--codec", "sign(bits=1)"], 2, "no parameter 'bits'"),
        (["--codec", "svd_mixed(bands='8;3')"], 2, "cannot read"),
        (["--codec", "sign", "--ratio", "4"], 2, "whatever is asked for"),
        ([], 2, "needs a size"),
        (["--ratio", "8", "--bytes", "9000"], 2, "both"),
        (["--ratio", "0.5"], 2, "not above 1"),
        (["--bytes", "900"], 5, "allow at least"),
        (["--ratio", "9999"], 5, "the least is"),
    ],
)
def test_errors_say_what_to_do(tiny_base, tiny_grown, tmp_path, capsys, options, code, said):
    got, stdout, stderr = run(capsys, tiny_base, tiny_grown, *options, "-o", tmp_path / "a")
    assert (got, stdout) == (code, "")
    assert said in stderr
    assert list(tmp_path.iterdir()) == []


def test_no_change_and_no_model(tiny_base, tmp_path, capsys):
    for size in (("--bytes", "9000"), ("--ratio", "8")):
        assert run(capsys, tiny_base, tiny_base, *size, "-o", tmp_path / "a")[0] == 6
    assert run(capsys, tiny_base, tmp_path / "none", "--ratio", "8", "-o", tmp_path / "a")[0] == 3


def test_help_has_an_example(capsys):
    code, stdout, _ = run(capsys, "--help")
    assert code == 0
    assert "deltakit compress models/base models/math --codec svd_mixed --ratio 16" in stdout
