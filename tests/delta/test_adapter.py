"""A PEFT folder as a delta: peft itself is the oracle."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.adapter import adapter_delta, is_adapter, open_adapter
from deltakit.delta.open import open_as_delta, open_model
from deltakit.errors import DeltakitError, InputError, MismatchError, UnsafeError
from deltakit.tensors import read
from support.models import tiny_llama


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("adapter") / "base", seed=1, dtype="F32")


def save_adapter(base, out, **options):
    """A LoRA adapter with random factors, saved by peft, and the merged weights that peft makes of it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(base)
        settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **options}
        tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
        torch.manual_seed(0)
        for name, parameter in tuned.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.data = torch.randn_like(parameter) * 0.1
        tuned.save_pretrained(out)
        merged = tuned.merge_and_unload().state_dict()
    return {n: v.numpy() for n, v in merged.items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 3}},
        {"modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
    ],
)
def test_base_plus_adapter_is_what_peft_merges(base, tmp_path, options):
    merged = save_adapter(base, tmp_path / "lora", **options)
    model = open_model(f"{base} + {tmp_path / 'lora'}")
    assert is_adapter(tmp_path / "lora")
    changed = 0
    for name in model.tensors.specs:
        ours = read(model.tensors, name).numpy()
        np.testing.assert_allclose(ours, merged[name], atol=2e-6)
        changed += int(not np.array_equal(ours, read(open_checkpoint(base), name).numpy()))
    assert changed >= 3


def test_a_scaled_adapter_is_a_scaled_product(base, tmp_path):
    merged = save_adapter(base, tmp_path / "lora")
    opened = open_checkpoint(base)
    half = open_model(f"{base} + 0.5*{tmp_path / 'lora'}")
    name = "model.layers.0.self_attn.q_proj.weight"
    before = read(opened, name).numpy()
    np.testing.assert_allclose(read(half.tensors, name).numpy(), before + 0.5 * (merged[name] - before), atol=2e-6)


def test_its_terms_know_their_rank(base, tmp_path):
    save_adapter(base, tmp_path / "lora")
    delta = adapter_delta(open_adapter(tmp_path / "lora"), open_checkpoint(base), name="mine")
    assert delta.entries["model.layers.0.self_attn.q_proj.weight"].parts[0].term.rank == 4
    assert delta.entries["model.layers.0.self_attn.v_proj.weight"].parts == ()
    assert delta.lineage.name == "mine"


def change_config(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("changes", [{"peft_type": "LOHA"}, {"use_dora": True}, {"lora_bias": True}])
def test_what_its_arithmetic_does_not_cover_is_refused(base, tmp_path, changes):
    save_adapter(base, tmp_path / "lora")
    change_config(tmp_path / "lora", **changes)
    with pytest.raises(InputError, match="adapter"):
        open_adapter(tmp_path / "lora")


def test_a_pickled_adapter_is_refused_unopened(base, tmp_path):
    save_adapter(base, tmp_path / "lora")
    (tmp_path / "lora" / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="no adapter_model"):
        open_adapter(tmp_path / "lora")
    (tmp_path / "lora" / "adapter_model.bin").write_bytes(b"\x80\x04}.")
    with pytest.raises(UnsafeError):
        open_adapter(tmp_path / "lora")


def test_an_adapter_of_another_model_is_refused(base, tmp_path):
    save_adapter(base, tmp_path / "lora")
    other = tiny_llama(tmp_path / "other", seed=2, width=64)
    with pytest.raises(MismatchError, match="does not fit") as wrong:
        open_as_delta(str(tmp_path / "lora"), open_checkpoint(other))
    assert len(wrong.value.details) == 4
    with pytest.raises(DeltakitError, match="alone is no model"):
        open_model(str(tmp_path / "lora"))


def test_the_real_adapters_of_gpt2(shared_models):
    """36 Conv1D targets, stored (in, out): ΔW is transposed."""
    from support.tensors import memory, normal, tensor

    adapter = open_adapter(shared_models / "lora" / "gpt2-tigrinya-r8-run1")
    assert len(adapter.modules) == 36
    shapes = {m: (adapter.factors(m)[1].shape[1], adapter.factors(m)[0].shape[0]) for m in adapter.modules}
    base = memory({f"{m}.weight": tensor(normal(s, 0, 0.02), "F32") for m, s in shapes.items()})
    delta = adapter_delta(adapter, base)
    module = adapter.modules[0]
    up, down = adapter.factors(module)
    spec = base.specs[f"{module}.weight"]
    want = (up.astype(np.float64) @ down * adapter.scaling(module)).T
    got = delta.rows(f"{module}.weight", 0, spec.rows)
    assert adapter.scaling(module) == 4.0
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_an_adapter_cannot_prove_its_base_and_says_so(base, tmp_path, caplog):
    save_adapter(base, tmp_path / "lora")
    open_as_delta(str(tmp_path / "lora"), open_checkpoint(base))
    assert "no fingerprint of its base" in caplog.text
    assert str(base) in caplog.text
