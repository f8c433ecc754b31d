"""Merging, fault by fault (4 of 4): the same merge otherwise, elsewhere, in odd places; and tied heads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint import job
from deltakit.checkpoint import write as writer
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from support.cli import call
from support.faults import faulty, full_disk
from support.merge_world import SLICES, WAYS, family, files, merged, refused, way
from support.models import save, save_sharded, tiny_llama, tiny_tuned


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("repeats"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base with a tied head, math with one of its own (the embedding moved a little), and chat tied again."""
    folder = tmp_path_factory.mktemp("tied")
    base = tiny_llama(folder / "base", seed=1, dtype="F32", tied=True)
    for name, seed in (("math", 2), ("chat", 3)):
        tiny_tuned(base, folder / name, seed)
    tensors = untied(folder / "math")
    name = "lm_head.weight"
    moved = np.frombuffer(tensors[name][1], np.float32) + np.float32(0.003)
    save(folder / "math" / "model.safetensors", {**tensors, name: (tensors[name][0], moved.tobytes())})
    return folder


def untied(model: Path):
    """The tensors of a model with its head written out, as its configuration then says."""
    opened = open_checkpoint(model)
    tensors = {n: (s, bytes(opened.buffer(n))) for n, s in opened.specs.items()}
    tensors.setdefault("lm_head.weight", tensors["model.embed_tokens.weight"])
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    return tensors


def logits(model: Path):
    import torch
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        return (
            AutoModelForCausalLM.from_pretrained(model).eval()(torch.tensor([[1, 9, 40, 77, 5]])).logits.float().numpy()
        )


@pytest.mark.parametrize("kind", ["sum", "ties", "slerp", "slices", "slerp slices"])
def test_a_tied_and_an_untied_head(tiny: Path, kind: str, tmp_path: Path) -> None:
    """The logits are those of the models whose heads were all written out, merged."""
    for name in ("base", "math", "chat"):
        shutil.copytree(tiny / name, tmp_path / "explicit" / name)
        save(tmp_path / "explicit" / name / "model.safetensors", untied(tmp_path / "explicit" / name))
    merged(way(tiny, kind), tmp_path / "out")
    merged(way(tmp_path / "explicit", kind), tmp_path / "oracle")
    assert "lm_head.weight" in open_checkpoint(tmp_path / "out").specs
    found, oracle = logits(tmp_path / "out"), logits(tmp_path / "oracle")
    assert np.abs(oracle).max() > 0.01
    assert np.array_equal(found, oracle)


def known(model: Path) -> str:
    return fingerprint(open_checkpoint(model))


@pytest.mark.parametrize("kind", WAYS)
def test_threads_shard_size_order_of_input_files_and_resume(
    world: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tensors' hashes are equal."""
    pump = import_module("deltakit.checkpoint.pump")
    made = set()
    for threads in (1, 2, 8):
        monkeypatch.setattr(pump, "cores", lambda threads=threads: threads)
        merged(way(world, kind), tmp_path / f"{threads} threads")
        made.add(known(tmp_path / f"{threads} threads"))
    monkeypatch.setattr(job.prepare, "__defaults__", (2000, *job.prepare.__defaults__[1:]))
    merged(way(world, kind), tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    made.add(known(tmp_path / "shards"))
    monkeypatch.undo()
    for shards in (2, 3):
        dealt = tmp_path / f"dealt{shards}"
        for name in ("base", "math", "chat"):
            opened = open_checkpoint(world / name)
            tensors = {n: (s, bytes(opened.buffer(n))) for n, s in reversed(opened.specs.items())}
            save_sharded(dealt / name, tensors, shards)
            shutil.copy(world / name / "config.json", dealt / name)
        merged(way(dealt, kind), dealt / "out")
        made.add(known(dealt / "out"))
    monkeypatch.setattr(writer, "_BATCH", 1)
    with faulty(full_disk(36)):
        assert call(*way(world, kind), "-o", tmp_path / "resumed").code == 5
    assert merged(way(world, kind), tmp_path / "resumed")["resumed"] > 0
    made.add(known(tmp_path / "resumed"))
    assert len(made) == 1
    assert files(tmp_path / "resumed") == files(tmp_path / "1 threads") == files(tmp_path / "8 threads")


@pytest.mark.parametrize("kind", ["sum", "ties", "tsv_m"])
def test_the_order_of_models_does_not_matter(world: Path, kind: str, tmp_path: Path) -> None:
    merged(way(world, kind), tmp_path / "one")
    merged(way(world, kind, math=world / "chat", chat=world / "math"), tmp_path / "two")
    assert known(tmp_path / "one") == known(tmp_path / "two")


ELSEWHERE = """
import sys, time
later = time.time() + 40 * 86400
time.time = lambda: later
from deltakit_cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("kind", WAYS)
def test_the_same_run_twice_in_another_folder(world: Path, kind: str, tmp_path: Path) -> None:
    """Identical bytes: no time and no local path is in what is written, be the paths absolute or not."""
    there = shutil.copytree(world, tmp_path / "home of sandra" / "models")
    merged(way(world, kind), tmp_path / "one")
    merged(way(there, kind), tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    for content in files(tmp_path / "two").values():
        assert not any(os.fsencode(part) in content for part in (tmp_path, world, "sandra"))


def test_the_same_run_on_another_day_by_another_user(world: Path, tmp_path: Path) -> None:
    for kind in ("sum", "slices"):
        merged(way(world, kind), tmp_path / kind)
        argv = [*map(str, way(world, kind)), "-o", str(tmp_path / "later" / kind)]
        env = {**os.environ, "USER": "sandra", "LOGNAME": "sandra", "HOME": str(tmp_path), "TZ": "Asia/Tokyo"}
        env["PYTHONHASHSEED"] = "7"
        subprocess.run([sys.executable, "-c", ELSEWHERE, *argv], env=env, check=True, capture_output=True)
        assert files(tmp_path / kind) == files(tmp_path / "later" / kind)


ODD = ["with space", "Ünïcode-мир-模型", "100%", "-dash", "it's {odd} [1] #2: *", "a+b", "new\nline", "\udcff\udcfe"]


@pytest.mark.parametrize("name", ODD)
def test_odd_paths(world: Path, name: str, tmp_path: Path) -> None:
    """Spaces, Unicode, bytes that are no text: they work, or end with 2; both for outputs and for inputs."""
    for kind in ("ties", "slices"):
        merged(way(world, kind), tmp_path / f"plain {kind}")
        merged(way(world, kind), tmp_path / "out" / name / kind)
        assert files(tmp_path / "out" / name / kind) == files(tmp_path / f"plain {kind}")
    there = Path(shutil.copytree(world, tmp_path / "in" / name))
    done = call(*way(there, "ties"), "-o", tmp_path / "odd")
    assert done.code in (0, 2), done.err
    if done.code == 0:
        assert known(tmp_path / "odd") == known(tmp_path / "plain ties")


@pytest.mark.parametrize("name", ["x" * 300, "deep/" * 1000], ids=["too long", "4 kB"])
def test_paths_that_cannot_be(world: Path, name: str, tmp_path: Path) -> None:
    refused(call(*way(world, "sum"), "-o", tmp_path / name), 2, "hint")
    done = call(*way(world, "sum", chat=tmp_path / name), "-o", tmp_path / "out")
    refused(done, 2, "hint")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("utf8", ["", "0"], ids=["C", "ASCII alone"])
def test_a_locale_that_is_not_utf_8(world: Path, utf8: str, tmp_path: Path) -> None:
    """Recipes are UTF-8 whatever the locale. Paths that it has no letters for end with 2 where it must be obeyed."""
    there = Path(shutil.copytree(world, tmp_path / "modèles мир"))
    env = {
        **os.environ,
        "LC_ALL": "C",
        "LANG": "C",
        **({"PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": utf8} if utf8 else {}),
    }

    def run(models: Path, out: Path) -> int:
        recipe = tmp_path / "r.yml"
        text = SLICES.format(**{n: models / n for n in ("base", "math", "chat")})
        recipe.write_bytes(f"# modèle мир\n{text}".encode())
        done = subprocess.run([sys.executable, "-m", "deltakit_cli", "merge", recipe, "-o", out], env=env)
        return done.returncode

    merged(way(world, "slices"), tmp_path / "expected")
    assert run(world, tmp_path / "out") == 0
    assert files(tmp_path / "out") == files(tmp_path / "expected")
    assert run(there, tmp_path / "out-é") == (2 if utf8 else 0)
