"""Adapters for engines: peft loads them and is the oracle. Run: pytest tests/compress/export"""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.export.peft_lora import LoraRequest, export_lora, plan_lora
from deltakit.compress.export.ranks import SERVED
from deltakit.compress.hessian import Hessian
from deltakit.delta.difference import difference
from deltakit.errors import MismatchError, RecipeError
from deltakit.manifest import make_manifest
from support.models import tiny_llama, tiny_tuned

MANIFEST = make_manifest("export")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder, base, bound delta) of float32 models, the fine-tune with two more rows of vocabulary."""
    folder = tmp_path_factory.mktemp("export")
    base = open_checkpoint(tiny_llama(folder / "base", seed=1, dtype="F32", width=48))
    tuned = open_checkpoint(tiny_tuned(base.path, folder / "tuned", seed=2, extra_rows=2))
    return folder, base, difference(base, tuned).bind(base)


def test_its_config_satisfies_vllm(world, tmp_path):
    _, base, delta = world
    made = export_lora(base, delta, tmp_path / "a", LoraRequest(16), MANIFEST)
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["r"] in SERVED
    assert config["lora_alpha"] == config["r"]
    assert not config["modules_to_save"]
    assert not any(config[k] for k in ("rank_pattern", "alpha_pattern", "use_dora", "use_rslora"))
    assert config["bias"] == "none"
    assert config["target_modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert config["task_type"] == "CAUSAL_LM"
    stored = open_checkpoint(tmp_path / "a" / "adapter_model.safetensors")
    assert {min(s.shape) for s in stored.specs.values()} == {16}
    assert all(n.endswith((".lora_A.weight", ".lora_B.weight")) for n in stored.specs)
    assert set(made.dropped) == set(base.specs) - set(made.retained)
    assert "model.norm.weight" in made.dropped
    assert "rows that the base lacks" in made.dropped["lm_head.weight"]
    assert 0.3 < made.share < 1
    assert sum(made.lost.values()) < 1


def test_peft_computes_what_the_adapter_says(world, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder, base, delta = world
    made = export_lora(base, delta, tmp_path / "a", LoraRequest(64, dtype="F32"), MANIFEST)
    assert made.share > 1 - 1e-9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = AutoModelForCausalLM.from_pretrained(folder / "base")
        model = PeftModel.from_pretrained(plain, tmp_path / "a").merge_and_unload()
    state = model.state_dict()
    for name in made.retained:
        spec = base.specs[name]
        want = torch.from_numpy(delta.rows(name, 0, spec.rows).copy())
        old = torch.frombuffer(bytearray(base.buffer(name)), dtype=torch.float32).reshape(spec.shape)
        assert torch.allclose(state[name] - old, want, atol=1e-6), name


def test_the_rank_follows_the_energy(world, tmp_path):
    _, base, delta = world
    plans = [plan_lora(base, delta, tmp_path / "a", LoraRequest(energy=e), MANIFEST) for e in (0.1, 0.6, 1.0)]
    assert [p["rank"] for p in plans] == sorted(p["rank"] for p in plans)
    assert plans[0]["rank"] < plans[2]["rank"]
    low = plan_lora(base, delta, tmp_path / "a", LoraRequest(energy=0.6), MANIFEST)["rank"]
    assert export_lora(base, delta, tmp_path / "a", LoraRequest(low, dtype="F32"), MANIFEST).share >= 0.6


def test_known_inputs_change_what_a_rank_keeps(world, tmp_path):
    """Whitened, the adapter loses less of the outputs (and more of the weights)."""
    _, base, delta = world
    name = "model.layers.0.mlp.up_proj.weight"
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 48)) * np.geomspace(10, 0.1, 48)
    hessian = Hessian(x.T @ x, 1, 400)

    lost = {}
    for way, hessians in (("plain", None), ("whitened", {name: hessian})):
        request = LoraRequest(8, dtype="F32", hessians=hessians)
        export_lora(base, delta, tmp_path / way, request, MANIFEST)
        weights = open_checkpoint(tmp_path / way / "adapter_model.safetensors")
        b, a = (
            np.frombuffer(weights.buffer(f"base_model.model.{name[:-7]}.lora_{side}.weight"), np.float32).reshape(shape)
            for side, shape in (("B", (-1, 8)), ("A", (8, -1)))
        )
        lost[way] = hessian.error(delta.rows(name, 0, base.specs[name].rows) - b @ a)
    assert lost["whitened"] < 0.8 * lost["plain"]


def test_whole_keeps_norms_embeddings_and_head_for_peft(tmp_path):
    base = open_checkpoint(tiny_llama(tmp_path / "base", seed=1))
    delta = difference(base, open_checkpoint(tiny_tuned(base.path, tmp_path / "tuned", seed=2))).bind(base)
    made = export_lora(base, delta, tmp_path / "a", LoraRequest(8, whole=True), MANIFEST)
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert {"model.norm", "model.embed_tokens", "lm_head"} <= set(config["modules_to_save"])
    assert not made.dropped


def test_added_rows_have_no_place_in_a_whole_adapter(world, tmp_path):
    _, base, delta = world
    with pytest.raises(MismatchError, match="does not fit in a LoRA"):
        export_lora(base, delta, tmp_path / "a", LoraRequest(8, whole=True), MANIFEST)


@pytest.mark.parametrize("rank", [513, -2])
def test_ranks_beyond_all_slots_are_refused(world, tmp_path, rank):
    _, base, delta = world
    with pytest.raises(RecipeError, match="512"):
        export_lora(base, delta, tmp_path / "a", LoraRequest(rank), MANIFEST)
