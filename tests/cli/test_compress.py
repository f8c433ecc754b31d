"""deltakit compress. Run: pytest tests/cli/test_compress.py"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from deltakit.delta.file.container import open_delta
from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.cli import call
from support.models import tiny_tuned


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
    assert made["codec"].startswith("svd_mixed(bands='', rounds=3")
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


def test_calibration_is_asked_for_by_options(tiny_base, tiny_grown, tmp_path, capsys):
    argv = (tiny_base, tiny_grown, "--codec", "lowrank", "--ratio", "8", "--format", "json")
    text = ("--calibrate", "builtin", "--samples", "2", "--length", "16")
    assert run(capsys, *argv, *text, "-o", tmp_path / "a")[0] == 0
    assert run(capsys, *argv, *text, "--hessians", tmp_path / "h", "-o", tmp_path / "b")[0] == 0
    assert (tmp_path / "h").is_file()
    for name in "ab":
        assert open_delta(tmp_path / name).lineage.note["calibration"]["samples"] == 2
    code, stdout, _ = run(capsys, *argv, *text, "-o", tmp_path / "c", "--dry-run")
    assert (code, json.loads(stdout)["calibration"]["length"]) == (0, 16)
    code, _, err = run(capsys, *argv, "--samples", "2", "-o", tmp_path / "c")
    assert code == 2
    assert "--samples is for calibration" in err


def test_several_fine_tunes_become_a_folder_of_archives(tiny_base, tiny_grown, tiny_pair, tmp_path, capsys):
    argv = (tiny_base, tiny_grown, tiny_pair[1], "--codec", "lowrank", "--ratio", "8", "-o", tmp_path / "out")
    code, stdout, _ = run(capsys, *argv, "--dry-run", "--format", "json")
    assert code == 0
    assert len(json.loads(stdout)["archives"]) == 2
    assert not (tmp_path / "out").exists()
    code, stdout, _ = run(capsys, *argv, "--format", "json")
    assert code == 0
    made = json.loads(stdout)["archives"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p["output"].rpartition("/")[2] for p in made)


def test_torchrun_writes_what_one_process_writes(tiny_base, tiny_grown, tmp_path):
    """Without a text, and with one: every process walks, and codes its share of each layer."""
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    text = ["--calibrate", "builtin", "--samples", "2", "--length", "16"]
    for name, more in (("blind", []), ("seeing", text)):
        given = ["-m", "deltakit_cli", "compress", str(tiny_base), str(tiny_grown), "--ratio", "8", *more, "-o"]
        subprocess.run([sys.executable, *given, str(tmp_path / name)], check=True, env=quiet, capture_output=True)
        done = subprocess.run(
            [sys.executable, *launch, *given, str(tmp_path / f"{name}-crew")], check=True, env=quiet,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.stdout.count("wrote ") == 1  # the leader speaks
        assert (tmp_path / name).read_bytes() == (tmp_path / f"{name}-crew").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blind", "blind-crew", "seeing", "seeing-crew"]


def test_healing_says_what_it_brought(tiny_base, tmp_path):
    tuned = tiny_tuned(tiny_base, tmp_path / "tuned", seed=5, size=2.0)
    words = ("compress", tiny_base, tuned, "--calibrate", "builtin", "--samples", 12, "--length", 24, "--batch", 3)
    more = ("--bytes", 9000, "--heal", 4, "--heal-rate", 0.03)
    made = call(*words, *more, "-o", tmp_path / "a", "--format", "json").json
    assert made["bytes"] == (tmp_path / "a").stat().st_size <= 9000
    assert made["healed"]["after"] < made["healed"]["before"]
    said = call(*words, *more, "-o", tmp_path / "b", "--format", "human")
    assert "healed in 4 steps: KL divergence" in said.out
    wrong = call(*words, "--heal", 4, "--curve", "8,16", "-o", tmp_path / "c")
    assert wrong.code == 2
    assert "--heal is for one fine-tune" in wrong.err
