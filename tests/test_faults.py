"""Bad input from a person's side: the right exit code, the fault's place, a remedy, nothing written, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from support.cli import call
from support.models import random_tensors, save, save_sharded, tiny_llama, tiny_tuned


@pytest.fixture
def world(tmp_path):
    """base, math, chat folders and math.delta in a fresh folder, and what lies there."""
    base = tiny_llama(tmp_path / "base", seed=1)
    tiny_tuned(base, tmp_path / "math", seed=2)
    tiny_tuned(base, tmp_path / "chat", seed=3)
    assert call("extract", base, tmp_path / "math", "-o", tmp_path / "math.delta").code == 0
    return tmp_path


def refused(done, code, *words):
    assert done.code == code, (done.code, done.err)
    for word in words:
        assert word in done.err, done.err
    assert done.out == ""
    assert "error: " in done.err or "Error" in done.err


def test_the_wrong_base(world):
    other = tiny_llama(world / "other", seed=9)
    refused(call("apply", other, world / "math.delta", "-o", world / "out"), 3, "another base", "hint")
    refused(call("compress", other, world / "math.delta", "--codec", "sign", "-o", world / "out"), 3, "another base")
    refused(call("sparsify", other, world / "math.delta", "--each", "drop(density=0.5)", "-o", world / "out"), 3)
    refused(call("generate", f"{other} + {world / 'math.delta'}", "--prompt", "a"), 3, "another base")
    assert not (world / "out").exists()


def test_other_shapes_and_other_names_are_all_listed(world):
    tiny_llama(world / "wide", seed=1, width=64)
    refused(call("extract", world / "base", world / "wide", "-o", world / "out"), 3, "q_proj", "lm_head", "[64")
    made = {f"x.{n}": t for n, t in random_tensors(open_checkpoint(world / "base").specs).items()}
    save(world / "strange" / "model.safetensors", made)
    refused(call("extract", world / "base", world / "strange", "-o", world / "out"), 3, "no tensor name")
    merge = ("merge", "--base", world / "base", "--model", world / "wide", "-o", world / "out")
    refused(call(*merge), 3, "q_proj", "lm_head")
    assert not (world / "out").exists()


def test_a_missing_shard(world):
    tensors = random_tensors(open_checkpoint(world / "base").specs)
    folder = save_sharded(world / "sharded", tensors)
    shutil.copy(world / "base" / "config.json", folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(call("extract", world / "base", folder, "-o", world / "out"), 3, "model-00002-of-00002.safetensors")


@pytest.mark.parametrize("damage", [lambda raw: raw[:-7], lambda raw: raw + b"x", lambda raw: b"", lambda raw: raw[:5]])
def test_a_truncated_or_overlong_file(world, damage):
    file = world / "math" / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    refused(call("extract", world / "base", world / "math", "-o", world / "out"), 3, "model.safetensors")
    assert not (world / "out").exists()


def test_a_damaged_delta_names_its_tensor(world):
    raw = bytearray((world / "math.delta").read_bytes())
    raw[-3] ^= 4
    (world / "math.delta").write_bytes(bytes(raw))
    done = call("apply", world / "base", world / "math.delta", "-o", world / "out")
    refused(done, 3, "model.", "damaged")
    assert not (world / "out").exists()


def test_pickled_weights_are_refused_unopened(world, tmp_path):
    canary = tmp_path / "canary"
    folder = world / "pickled"
    folder.mkdir()
    shutil.copy(world / "base" / "config.json", folder)
    (folder / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    refused(call("extract", world / "base", folder, "-o", world / "out"), 4, "pytorch_model.bin", "hint")
    refused(call("merge", "--base", world / "base", "--model", folder, "-o", world / "out"), 4)
    assert not canary.exists()


def test_non_finite_values_never_pass_in_silence(world):
    opened = open_checkpoint(world / "math")
    tensors = {n: (s, bytes(opened.buffer(n))) for n, s in opened.specs.items()}
    name = "model.norm.weight"
    spec, raw = tensors[name]
    bits = np.frombuffer(raw, "<u2").copy()
    bits[3] = 0x7FC0
    tensors[name] = (spec, bits.tobytes())
    save(world / "math" / "model.safetensors", tensors)
    merge = (
        "merge",
        "--base",
        world / "base",
        "--model",
        world / "math",
        "--model",
        world / "chat",
        "-o",
        world / "out",
    )
    refused(call(*merge), 3, name, "NaN")
    refused(call("compress", world / "base", world / "math", "--codec", "sign", "-o", world / "out"), 3, name)
    refused(call("generate", world / "math", "--prompt", "a"), 3, name)
    assert not (world / "out").exists()


def test_a_misspelt_recipe_key_has_its_line_and_a_suggestion(world):
    recipe = world / "r.yaml"
    recipe.write_text(f"deltakit: 1\nbase: {world / 'base'}\nmethd: linear\nmodels:\n  - model: {world / 'math'}\n")
    refused(call("merge", recipe, "-o", world / "out"), 2, "methd", "method", "3")
    recipe.write_text(f"deltakit: 1\nbase: {world / 'base'}\nmodels:\n  - model: {world / 'math'}\n    wieght: 1\n")
    refused(call("merge", recipe, "-o", world / "out"), 2, "wieght", "weight", "5")


@pytest.mark.parametrize("density", ["0", "1.2", "-1", "nan"])
def test_a_density_out_of_range(world, density):
    merge = ("merge", "--base", world / "base", "--model", world / "math", "--method", "dare_linear")
    refused(call(*merge, "--density", density, "-o", world / "out"), 2, "density")
    sparsify = ("sparsify", world / "base", world / "math.delta", "--each", f"drop(density={density})")
    assert call(*sparsify, "-o", world / "out").code == 2
    assert not (world / "out").exists()


def test_an_output_in_the_way_is_never_touched(world):
    out = world / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    refused(call("apply", world / "base", world / "math.delta", "-o", out), 3, "not empty")
    refused(call("merge", "--base", world / "base", "--model", world / "math", "-o", out, "--overwrite"), 3)
    refused(call("apply", world / "base", world / "math.delta", "-o", world / "base", "--overwrite"), 3, "input")
    assert [p.name for p in out.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_ends_with_5_and_the_old_output_stays(world):
    small = world / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small file system")
    try:
        (small / "d").write_bytes(b"old")
        done = call("apply", world / "base", world / "math.delta", "-o", small / "out")
        refused(done, 5, "disk")
        (small / "filler").write_bytes(bytes(52 << 10))
        done = call("extract", world / "base", world / "math", "-o", small / "d", "--overwrite")
        refused(done, 5, "hint")
        assert (small / "d").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", small], check=True)


SLOW = """
import sys, time
import deltakit.compress.codecs.sign as s
from deltakit_cli.main import main
real = s.SignCodec.encode
def encode(self, rows, ctx):
    sys.stdout.write("busy\\n")  # in one write: two threads encode at once
    sys.stdout.flush()
    time.sleep(0.5)
    return real(self, rows, ctx)
s.SignCodec.encode = encode
main(sys.argv[1:])
"""


def test_an_interrupt_ends_with_130_and_the_same_command_resumes(world):
    argv = ["compress", str(world / "base"), str(world / "math.delta"), "--codec", "sign", "-o", str(world / "c.delta")]
    command = [sys.executable, "-c", SLOW, *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "run it again to resume: deltakit compress" in err
    assert not (world / "c.delta").exists()
    assert call(*argv).code == 0
    assert call("compress", world / "base", world / "math.delta", "--codec", "sign", "-o", world / "e.delta").code == 0
    assert (world / "c.delta").read_bytes() == (world / "e.delta").read_bytes()


def test_a_sum_with_no_effect_ends_with_6(world):
    same = ("merge", "--base", world / "base", "--model", f"{world / 'math'}:0.0", "-o", world / "out")
    done = call(*same)
    refused(done, 6)
    assert not (world / "out").exists()


def test_a_missing_data_file_says_how_to_get_it(world, monkeypatch, tmp_path):
    monkeypatch.setenv("DELTAKIT_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    done = call("eval", world / "math", "--tasks", "gsm8k_backward", "--limit", "1")
    refused(done, 3, "DELTAKIT_DATA")


def test_config_that_loads_code_does_not_reach_the_output(world):
    config = json.loads((world / "base" / "config.json").read_text())
    (world / "base" / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "x.M"}}))
    (world / "base" / "x.py").write_text("raise SystemExit('ran')")
    done = call(
        "merge", "--base", world / "base", "--model", world / "math", "--model", world / "chat", "-o", world / "out"
    )
    assert done.code == 0, done.err
    assert "auto_map" not in (world / "out" / "config.json").read_text()
    assert not (world / "out" / "x.py").exists()
