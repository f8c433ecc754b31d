"""deltakit sft from the command line."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from support.cli import call
from support.models import tiny_llama
from support.training import jsonl, metamath


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with a base, data and a recipe; the current folder."""
    tiny_llama(tmp_path / "base", seed=4, width=16, layers=1)
    jsonl(tmp_path / "data.jsonl", metamath(20))
    (tmp_path / "recipe.yaml").write_text(
        "deltakit: 1\nbase: base\ndata: {path: data.jsonl, kind: metamath}\nholdout: 0.1\ntokens: {context: 512}\n"
        "train: {lr: 1e-3, max_steps: 4, batch_size: 2}\nlog: {steps: 2}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_trains_and_tells(run):
    called = call("sft", "recipe.yaml", "-o", "out", "--format", "json")
    assert called.code == 0, called.err
    told = called.json
    assert (told["steps"], told["data"][0]["records"], told["holdout"][0]["records"]) == (4, 18, 2)
    assert told["holdout_loss"] > 0
    assert (run / "out" / "model.safetensors").exists()
    again = call("sft", "recipe.yaml", "-o", "out")
    assert again.code == 3
    assert "--overwrite" in again.err


def test_a_dry_run_counts_and_writes_nothing(run):
    before = sorted(p.name for p in run.iterdir())
    called = call("sft", "recipe.yaml", "-o", "out", "--dry-run", "--set", "train.max_steps=7")
    assert called.code == 0, called.err
    assert "steps: 7" in called.out
    assert "data.jsonl" in called.out
    assert sorted(p.name for p in run.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--set", "train.lr_rate=1"], 2, "lr_rate"),
        (["--set", "base=nowhere"], 3, "nowhere does not exist"),
        (["--set", "data.path=none.jsonl"], 3, "none.jsonl"),
        (["--set", "tokens.max_length=8"], 3, "longer than max_length 8"),
        (["--set", "prompt=nothing"], 2, "nothing"),
    ],
)
def test_bad_input_has_its_code_and_writes_nothing(run, options, code, said):
    called = call("sft", "recipe.yaml", "-o", "out", *options)
    assert (called.code, said in called.err) == (code, True), called.err
    assert not (run / "out").exists()
    assert not (run / "out.training").exists()


def test_an_output_must_be_named(run):
    called = call("sft", "recipe.yaml")
    assert called.code == 2
    assert "nowhere to write" in called.err


def test_an_interrupt_saves_says_how_to_go_on_and_resumes(run):
    argv = ["sft", "recipe.yaml", "-o", "out", "--set", "train.max_steps=4000"]
    process = subprocess.Popen(
        [sys.executable, "-c", f"from deltakit_cli.main import main; main({argv})"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=run, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    losses = run / "out.training" / "loss.jsonl"
    for _ in range(600):
        if losses.exists() and losses.read_text().count("\n") >= 2:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "which is saved" in err
    assert "deltakit sft recipe.yaml -o out" in err
    assert not (run / "out").exists()
    step = json.loads(losses.read_text().splitlines()[-1])["step"]
    refused = call("sft", "recipe.yaml", "-o", "out", "--set", "train.max_steps=3999")
    assert refused.code == 3
    assert "unfinished run" in refused.err
    started = call("sft", "recipe.yaml", "-o", "out", "--resume", "never", "--format", "json")
    assert started.code == 0, started.err
    assert step >= 2
    assert started.json["resumed_at"] == 0
