"""What goes where, and what is refused. Run: pytest tests/tenants/test_placing.py"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import MismatchError
from deltakit.tenants import ResidentBase
from deltakit.tensors import TensorSpec
from support.models import save
from support.tenants import folder

Held = dict[str, tuple[TensorSpec, bytes]]


def tensors(path: Path) -> Held:
    found = open_checkpoint(path)
    return {n: (s, bytes(found.buffer(n))) for n, s in found.specs.items()}


def attached(base: Path, tuned: Path) -> ResidentBase:
    found = ResidentBase.open(str(base))
    found.attach("t", str(tuned))
    return found


def test_what_did_not_change_costs_nothing(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "llama", 0)
    tuned = folder(tmp_path / "tuned", "llama", 0)
    held = tensors(tuned)
    name = "model.layers.1.mlp.up_proj.weight"
    values = np.frombuffer(held[name][1], np.float32) + 1
    save(tuned / "model.safetensors", {**held, name: (held[name][0], values.astype(np.float32).tobytes())})
    tenant = attached(base, tuned).tenant("t")
    assert list(tenant.terms) == [name]
    assert list(tenant.shares) == ["model.layers.1.mlp.up_proj"]
    assert tenant.own_bytes == 0


def test_small_tensors_are_held_as_the_tenant_has_them(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "gpt2", 0)
    tuned = folder(tmp_path / "tuned", "gpt2", 1, base)
    tenant = attached(base, tuned).tenant("t")
    held = tensors(tuned)
    for name, value in tenant.vectors.items():
        assert value.numpy().tobytes() == held[name][1]
    assert {n.rpartition(".")[2] for n in tenant.vectors} == {"weight", "bias"}
    assert {len(s.shape) for n, (s, _) in held.items() if n in tenant.terms} == {2}


def test_a_tensor_that_one_of_both_lacks_is_named(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "llama", 0)
    tuned = folder(tmp_path / "tuned", "llama", 1, base)
    held = tensors(tuned)
    extra = {"model.more.weight": (TensorSpec((2,), "F32"), bytes(8))}
    save(tuned / "model.safetensors", {**{n: t for n, t in held.items() if n != "model.norm.weight"}, **extra})
    with pytest.raises(MismatchError) as refused:
        attached(base, tuned)
    assert [line.partition(":")[0] for line in refused.value.details] == ["model.norm.weight", "model.more.weight"]


def test_only_a_vocabulary_may_grow(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "llama", 0)
    tuned = folder(tmp_path / "tuned", "llama", 1, base)
    held = tensors(tuned)
    name = "model.layers.0.mlp.up_proj.weight"
    wide = TensorSpec((30, held[name][0].shape[1]), "F32")
    save(tuned / "model.safetensors", {**held, name: (wide, bytes(wide.nbytes))})
    with pytest.raises(MismatchError) as refused:
        attached(base, tuned)
    assert any("only the vocabulary may differ" in line for line in refused.value.details)


@pytest.mark.parametrize("same", [True, False])
def test_two_tensors_of_a_tied_weight_must_agree(tmp_path: Path, same: bool) -> None:
    base = folder(tmp_path / "base", "llama", 0, tie_word_embeddings=True)
    tuned = folder(tmp_path / "tuned", "llama", 1, base, tie_word_embeddings=True)
    for path in (base, tuned):
        held = tensors(path)
        twin = held["model.embed_tokens.weight"]
        if path == tuned and not same:
            twin = (twin[0], bytes(len(twin[1])))
        save(path / "model.safetensors", {**held, "lm_head.weight": twin})
    if same:
        assert "lm_head.weight" not in attached(base, tuned).tenant("t").terms
    else:
        with pytest.raises(MismatchError) as refused:
            attached(base, tuned)
        assert any("the base ties them" in line for line in refused.value.details)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "llama", 0)
    tuned = folder(tmp_path / "tuned", "llama", 1, base)
    held = tensors(tuned)
    spec = held["model.norm.weight"][0]
    save(tuned / "model.safetensors", {**held, "model.norm.weight": (spec, b"\xff" * spec.nbytes)})
    with pytest.raises(MismatchError) as refused:
        attached(base, tuned)
    assert json.dumps(refused.value.details).count("not finite") == 1
