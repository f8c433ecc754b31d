"""Compressing what is named by paths. Run: pytest tests/compress/run/test_files.py"""

from __future__ import annotations

import json

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.run.files import compress_files, plan_files
from deltakit.compress.run.operands import open_operands
from deltakit.compress.run.request import Request
from deltakit.delta.file.extract import extract
from deltakit.delta.file.restore import restore
from deltakit.delta.open import open_model
from deltakit.errors import InputError, MismatchError
from deltakit.tensors import read, to_float32
from support.models import save, tiny_llama, tiny_tuned
from support.served import served_fp8
from support.tensors import memory, whole


def run(base, tuned, codec, out, **more):
    return compress_files(Request(str(base), str(tuned), out, codec, **more))


def test_a_delta_file_gives_the_same_matrices_as_its_fine_tune(tiny_base, tiny_grown, tmp_path):
    base, tuned = str(tiny_base), str(tiny_grown)
    extract(base, tuned, tmp_path / "d")
    run(base, tuned, "svd_mixed", tmp_path / "a", ratio=8)
    run(base, str(tmp_path / "d"), "svd_mixed", tmp_path / "b", ratio=8)
    a, b = (open_model(f"{base} + {tmp_path / n}") for n in "ab")
    assert whole(a.tensors) == whole(b.tensors)


def test_an_archive_can_be_compressed_again(tiny_base, tiny_grown, tmp_path):
    base = str(tiny_base)
    run(base, str(tiny_grown), "svd_mixed", tmp_path / "a", ratio=4)
    made = run(base, str(tmp_path / "a"), "lowrank", tmp_path / "b", ratio=16)
    assert set(made.kinds.values()) <= {"lowrank", "lowrank+raw", "exact", "unchanged"}
    assert open_operands(base, str(tmp_path / "b")).delta.lineage.note["of"]["codec"].startswith("svd_mixed")


def test_a_plan_reads_no_weights_and_is_json(tiny_base, tiny_grown, tmp_path):
    plan = plan_files(Request(str(tiny_base), str(tiny_grown), tmp_path / "a", ratio=16))
    assert json.loads(json.dumps(plan))["matrices"] == sum(r["action"] == "codec" for r in plan["rows"])
    assert plan["payload_ratio"] >= 16
    assert not (tmp_path / "a").exists()
    made = run(str(tiny_base), str(tiny_grown), "svd_mixed", tmp_path / "a", ratio=16)
    assert 0.95 * plan["payload"] < made.payload <= plan["payload"]


def test_two_archives_of_one_fine_tune_are_told_apart(tiny_base, tiny_grown, tmp_path):
    for name, ratio in (("a", 4), ("b", 12)):
        run(str(tiny_base), str(tiny_grown), "svd_mixed", tmp_path / name, ratio=ratio)
    marks = [open_operands(str(tiny_base), str(tmp_path / n)).mark for n in "ab"]
    assert marks[0] != marks[1]


def test_the_wrong_base_is_refused(tiny_base, tiny_grown, tmp_path):
    run(str(tiny_base), str(tiny_grown), "sign", tmp_path / "a")
    other = tiny_llama(tmp_path / "other", seed=9)
    with pytest.raises(MismatchError, match="another base"):
        run(str(other), str(tmp_path / "a"), "lowrank", tmp_path / "b", ratio=16)


def test_an_input_is_never_the_output(tiny_base, tiny_grown, tmp_path):
    run(str(tiny_base), str(tiny_grown), "sign", tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(InputError, match="also an input"):
        run(str(tiny_base), str(tmp_path / "a"), "lowrank", tmp_path / "a", ratio=16, overwrite=True)
    assert (tmp_path / "a").read_bytes() == before


def test_a_model_of_other_shapes_is_refused(tiny_base, tmp_path):
    wide = tiny_llama(tmp_path / "wide", seed=1, width=64)
    with pytest.raises(MismatchError, match="do not fit"):
        run(str(tiny_base), str(wide), "sign", tmp_path / "a")


def test_real_weights(shared_models, tmp_path):
    """A real base, moved by a little: a sixteenth of it, everything counted."""
    source = shared_models / "babyllama-tok361"
    base, rng = open_checkpoint(source), np.random.default_rng(0)
    moved = {}
    for name, spec in base.specs.items():
        old = to_float32(base.buffer(name), spec.dtype).reshape(spec.shape)
        change = rng.standard_normal((spec.rows, 3)) @ rng.standard_normal((3, spec.row_size))
        moved[name] = (spec, (old + 0.01 * change.reshape(spec.shape).astype(np.float32)).tobytes())
    (tmp_path / "tuned").mkdir()
    save(tmp_path / "tuned" / "model.safetensors", moved)
    (tmp_path / "tuned" / "config.json").write_bytes((source / "config.json").read_bytes())
    size = sum(spec.nbytes for spec in base.specs.values())
    made = run(str(source), str(tmp_path / "tuned"), "svd_mixed", tmp_path / "a", nbytes=size // 16)
    assert made.nbytes <= size // 16
    model = open_model(f"{source} + {tmp_path / 'a'}").tensors
    for name in ("model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight"):
        spec = base.specs[name]
        got, want, old = (to_float32(s.buffer(name), spec.dtype) for s in (model, memory(moved), base))
        assert float(((got - want) ** 2).sum()) < 1e-2 * float(((old - want) ** 2).sum())


def test_an_archive_against_the_served_base_restores_over_it(tiny_base, tiny_grown, tmp_path):
    """Nothing of the pristine base is needed any more, and the archive is refused over it."""
    served = served_fp8(tiny_base, tmp_path / "served")
    archive = tmp_path / "a"
    compress_files(
        Request(str(tiny_base), str(tiny_grown), archive, "lowrank(rank=64, dtype='F32')", against=str(served))
    )
    restore(str(served), str(archive), tmp_path / "m")
    made, want = open_checkpoint(tmp_path / "m"), open_checkpoint(tiny_grown)
    assert made.specs == want.specs
    worst = max(float((read(made, n).float() - read(want, n).float()).abs().max()) for n in want.specs)
    assert worst < 1e-3
    assert "quantization_config" not in json.loads((tmp_path / "m" / "config.json").read_text())
    with pytest.raises(MismatchError, match="another base"):
        restore(str(tiny_base), str(archive), tmp_path / "n")


def test_an_expression_of_archives_is_projected_into_one(tiny_base, tmp_path):
    base, tuned = str(tiny_base), tiny_tuned(tiny_base, tmp_path / "tuned", seed=3)
    for name in ("a", "b"):
        run(base, tuned, "lowrank(rank=4, dtype='F32')", tmp_path / name)
    text = f"{base} + 0.75*{tmp_path / 'a'} + 0.25*{tmp_path / 'b'}"
    run(base, text, "lowrank(rank=4, dtype='F32')", tmp_path / "c")
    one, two = (open_model(f"{base} + {tmp_path / n}").tensors for n in ("a", "c"))
    name = "model.layers.0.mlp.up_proj.weight"
    assert np.allclose(read(one, name).float(), read(two, name).float(), atol=1e-3)
    assert (tmp_path / "c").stat().st_size < 1.2 * (tmp_path / "a").stat().st_size
