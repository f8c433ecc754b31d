"""Hessians of a model in a file. Run: pytest tests/compress/run/test_store.py"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.run import store
from deltakit.compress.run.files import compress_files, plan_files
from deltakit.compress.run.request import Request, Sampling
from deltakit.compress.run.store import collect, open_hessians
from deltakit.delta.file.container import open_delta
from deltakit.errors import CheckpointError, MismatchError
from support.calibration import arrays, ids, inputs, running
from support.models import tiny_llama, tiny_tuned

TEXT = {"samples": 3, "length": 16, "batch": 2}
SAMPLING = Sampling(**TEXT)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    base = tiny_llama(folder / "base", 0, "F32")
    return base, tiny_tuned(base, folder / "tuned", seed=2, size=5.0)


def run(pair: tuple[Path, Path], out: Path, **more: Any) -> Any:
    given = {"codec": "svd_mixed", "ratio": 8.0, "threads": 1, **more}
    return compress_files(Request(str(pair[0]), str(pair[1]), out, **given))


@pytest.mark.parametrize("rows", [512, 5])
def test_they_are_those_of_the_base(
    rows: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_ROWS", rows)
    base = open_checkpoint(pair[0])
    collect(tmp_path / "h", base, SAMPLING)
    found = open_hessians(tmp_path / "h", base, SAMPLING)
    entering = inputs(running(str(pair[0]), arrays(str(pair[0]))), ids(str(pair[0]), **TEXT))
    assert set(found) == set(entering)
    for name, x in entering.items():
        want = (x.T @ x).numpy()
        assert np.allclose(found[name].gram, want, rtol=1e-3, atol=1e-4 * float(np.abs(want).max()))
        assert np.array_equal(found[name].gram, found[name].gram.T)
        assert (found[name].axis, found[name].rows) == (1, 48)


def test_others_can_read_the_file_and_what_is_shared_is_there_once(pair: tuple[Path, Path], tmp_path: Path) -> None:
    collect(tmp_path / "h", open_checkpoint(pair[0]), SAMPLING)
    with safe_open(tmp_path / "h", "np") as file:
        shapes = [file.get_tensor(k).shape for k in sorted(file.keys(), key=lambda k: int(k[1:]))]
    inner = arrays(str(pair[0]))["model.layers.0.mlp.down_proj.weight"].shape[1]
    one = 32 * 33 // 2
    layer = [(inner * (inner + 1) // 2,), (one,), (one,), (one,)]  # q, k and v share, and so do gate and up
    assert sorted(shapes) == sorted([*layer, *layer, (one,)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["h"]


def test_a_request_makes_the_file_once_and_then_takes_it(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Request(str(pair[0]), str(pair[1]), tmp_path / "a", ratio=8.0, sampling=SAMPLING, hessians=tmp_path / "h")
    plan = plan_files(asked)
    assert plan["calibration"]["samples"] == 3
    assert not (tmp_path / "h").exists()
    run(pair, tmp_path / "a", sampling=SAMPLING, hessians=tmp_path / "h")
    assert (
        plan_files(replace(asked, out=tmp_path / "b"))["data_free"]
        == plan["data_free"]
        == ["model.embed_tokens.weight"]
    )
    monkeypatch.setattr(store, "open_walker", None)  # nothing runs any more
    run(pair, tmp_path / "b", sampling=SAMPLING, hessians=tmp_path / "h", threads=3)
    run(pair, tmp_path / "c", hessians=tmp_path / "h")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    run(pair, tmp_path / "blind")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "blind").read_bytes()
    note = open_delta(tmp_path / "a").lineage.note["calibration"]
    assert note["samples"] == 3
    assert note["hessians"].startswith("sha256:")


def test_a_file_of_another_model_or_text_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    run(pair, tmp_path / "a", sampling=SAMPLING, hessians=tmp_path / "h")
    with pytest.raises(MismatchError, match="of another text") as wrong:
        run(pair, tmp_path / "b", sampling=Sampling(samples=2, length=16), hessians=tmp_path / "h")
    assert "samples: 3" in wrong.value.details
    base = tiny_llama(tmp_path / "other", seed=9)
    other = base, tiny_tuned(base, tmp_path / "tuned")
    with pytest.raises(MismatchError, match="of another model"):
        run(other, tmp_path / "b", hessians=tmp_path / "h")
    with pytest.raises(CheckpointError, match="holds no Hessians"):
        run(pair, tmp_path / "b", hessians=pair[0] / "model.safetensors")
    raw = bytearray((tmp_path / "h").read_bytes())
    raw[-3] ^= 1
    (tmp_path / "h").write_bytes(raw)
    with pytest.raises(CheckpointError, match="damaged"):
        run(pair, tmp_path / "b", hessians=tmp_path / "h")
    (tmp_path / "h").write_bytes(raw[:-100])
    with pytest.raises(CheckpointError):
        run(pair, tmp_path / "b", hessians=tmp_path / "h")


def test_a_walk_that_fails_leaves_nothing(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._Writing, "finish", lambda self, said: (_ for _ in ()).throw(CheckpointError("no")))
    with pytest.raises(CheckpointError):
        collect(tmp_path / "h", open_checkpoint(pair[0]), SAMPLING)
    assert list(tmp_path.iterdir()) == []
