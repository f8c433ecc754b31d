"""Healing archives by distillation. Run: pytest tests/train/test_heal.py"""

from __future__ import annotations

import shutil

import pytest
import torch

from deltakit.calibrate.sampling import Sampling
from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.run.files import compress_files
from deltakit.compress.run.request import Request
from deltakit.delta.applied import Applied
from deltakit.delta.file.container import open_archive, open_delta
from deltakit.delta.open import open_model
from deltakit.errors import InputError, RecipeError
from deltakit.train.distil import Steps
from deltakit.train.heal import heal
from support.models import save, tiny_llama, tiny_tuned

NAME = "model.layers.0.mlp.up_proj.weight"
SOME = Sampling(samples=12, length=24, batch=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base, a fine-tune that is far from it, and archives that keep little of the difference."""
    made = tmp_path_factory.mktemp("heal")
    tiny_tuned(tiny_llama(made / "base", seed=1), made / "tuned", seed=2, size=2.0)
    for name, codec in (("svd", "svd_mixed(bands='2:3')"), ("sign", "sign")):
        compress_files(Request(str(made / "base"), str(made / "tuned"), made / name, codec))
    return made


def tuned(folder):
    return open_checkpoint(folder / "tuned")


def run(folder, archive, out, count=8, **more):
    full = open_model(str(folder / "tuned"))
    return heal(str(folder / "base"), folder / archive, full, out, Steps(count, 0.03), SOME, **more)


@pytest.mark.parametrize("archive", ["svd", "sign"])
def test_a_healed_archive_is_nearer_on_text_it_has_not_seen(folder, tmp_path, archive):
    made = run(folder, archive, tmp_path / "h")
    assert made.distilled.kept
    assert made.distilled.after < 0.97 * made.distilled.before
    assert made.nbytes == (tmp_path / "h").stat().st_size
    old, new = open_delta(folder / archive), open_delta(tmp_path / "h")
    assert new.lineage.base == old.lineage.base
    assert new.lineage.note["healed"]["steps"] == 8
    before, after = (d.entries[NAME].parts[0].term for d in (old, new))
    fields = [open_archive(p).index["tensors"][NAME]["p"] for p in (folder / archive, tmp_path / "h")]
    assert fields[0] == fields[1]  # the codes and their sizes are the same, the scales moved
    assert before.save()[1] != after.save()[1]
    moved = Applied(open_checkpoint(folder / "base"), new)
    assert bytes(moved.buffer("model.norm.weight")) != bytes(
        open_checkpoint(folder / "tuned").buffer("model.norm.weight")
    )


def test_what_is_written_has_the_divergence_that_was_measured(folder, tmp_path):
    """Scales are rounded as they are stored: the restored model shows it."""
    from deltakit.runtime.load import load_model

    made = run(folder, "svd", tmp_path / "h")
    teacher, student = (
        load_model(m.tensors, m.sidecar, "float32")
        for m in (open_model(str(folder / "tuned")), open_model(f"{folder / 'base'} + {tmp_path / 'h'}"))
    )
    ids = torch.from_numpy(SOME.batches(open_model(str(folder / "tuned")).sidecar).ids[9:])
    with torch.no_grad():
        want, got = (torch.log_softmax(m(input_ids=ids).logits.double(), -1) for m in (teacher, student))
    found = float((want.exp() * (want - got)).sum(-1).mean())
    assert found == pytest.approx(made.distilled.after, rel=0.05)


def test_the_same_text_gives_the_same_bytes(folder, tmp_path):
    run(folder, "svd", tmp_path / "a", 3)
    run(folder, "svd", tmp_path / "b", 3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_limit_is_kept(folder, tmp_path):
    """One-dimensional tensors stay as they were, then everything."""
    free = run(folder, "svd", tmp_path / "free", 2)
    some = run(folder, "svd", tmp_path / "some", 2, limit=free.nbytes - 1)
    assert free.vectors
    assert not some.vectors
    assert some.nbytes < free.nbytes
    size = (folder / "svd").stat().st_size
    none = run(folder, "svd", tmp_path / "none", 2, limit=size)
    assert not none.distilled.kept
    assert none.distilled.after == none.distilled.before
    assert (tmp_path / "none").read_bytes() == (folder / "svd").read_bytes()


def test_steps_that_do_no_good_are_not_kept(folder, tmp_path):
    full = open_model(str(folder / "tuned"))
    made = heal(str(folder / "base"), folder / "svd", full, tmp_path / "h", Steps(2, 50.0), SOME)
    assert not made.distilled.kept
    old, new = (open_archive(p).index["tensors"] for p in (folder / "svd", tmp_path / "h"))
    assert old == new


def test_what_cannot_be_healed_is_refused(folder, tmp_path):
    with pytest.raises(RecipeError, match="0 steps"):
        run(folder, "svd", tmp_path / "h", 0)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="empty"):
        heal(str(folder / "base"), folder / "svd", open_model(str(folder / "tuned")), tmp_path / "h", Steps(1),
             Sampling(str(tmp_path / "empty.txt")))  # fmt: skip
    assert not (tmp_path / "h").exists()


def test_an_archive_without_scales_is_refused(folder, tmp_path):
    """Groups of codes have none to heal, and no one-dimensional tensor changed."""
    base = open_checkpoint(folder / "base")
    tensors = {n: (s, bytes(base.buffer(n))) for n, s in base.specs.items()}
    tensors[NAME] = (base.specs[NAME], bytes(open_checkpoint(folder / "tuned").buffer(NAME)))
    shutil.copytree(folder / "base", tmp_path / "one")
    save(tmp_path / "one" / "model.safetensors", tensors)
    compress_files(Request(str(folder / "base"), str(tmp_path / "one"), tmp_path / "a", "group_quant(bits=2)"))
    with pytest.raises(InputError, match="no scales to heal"):
        heal(str(folder / "base"), tmp_path / "a", open_model(str(tmp_path / "one")), tmp_path / "h", Steps(1), SOME)
