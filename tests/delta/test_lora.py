"""Merges written as PEFT adapters: peft itself loads them and is the oracle."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.write import write_job
from deltakit.delta.adapter import adapter_delta, open_adapter
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, add, scale
from deltakit.delta.lora import Rank, Wanted, adapters_among, as_lora, lora_job
from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.write import merge, plan_output
from deltakit.tensors import to_float32
from support.merging import plan, recipe, values
from support.models import tiny_llama, tiny_tuned

Arrays = dict[str, Any]
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "mixed ranks, rsLoRA, patterns": (
        {"r": 3, "use_rslora": True},
        {"r": 5, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 3}},
    ),
    "other modules": ({"target_modules": ["q_proj"]}, {"target_modules": ["q_proj", "up_proj"]}),
    "embeddings and heads": (
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["embed_tokens", "lm_head"]},
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("lora") / "base", seed=1, dtype="F32")


def loaded(base: Path, *adapters: Path) -> Any:
    """The base with adapters in peft, named a0, a1, ..."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapters[0], adapter_name="a0")
        for i, path in enumerate(adapters[1:], 1):
            model.load_adapter(path, adapter_name=f"a{i}")
    return model


def made_by_peft(base: Path, out: Path, seed: int, **options: Any) -> Path:
    """A LoRA adapter with random factors, saved by peft."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **options}
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base), LoraConfig(task_type="CAUSAL_LM", **settings)
        )
        torch.manual_seed(seed)
        for name, parameter in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.data = torch.randn_like(parameter) * 0.1
        model.save_pretrained(out)
    return out


def weights(base: Path, adapter: Path) -> Arrays:
    """What peft makes of base and adapter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {n: v.numpy() for n, v in loaded(base, adapter).merge_and_unload().state_dict().items()}


def summed(base: Path, adapters: list[Path], coefs: list[float]) -> Delta:
    opened = open_checkpoint(base)
    return add([scale(adapter_delta(open_adapter(a), opened), c) for a, c in zip(adapters, coefs, strict=True)])


def write(delta: Delta, base: Path, out: Path, rank: Rank, adapters: list[Path] | None = None) -> Path:
    opened = open_checkpoint(base)
    job = lora_job(
        delta, opened, out, Wanted(rank), adapters=adapters_among([str(a) for a in adapters or ()]),
        base_name=str(base), manifest={"a": 1}, card=b"A merge.",
    )  # fmt: skip
    return write_job(job).path


@pytest.mark.parametrize("kind", KINDS)
def test_side_by_side_is_exact(base: Path, tmp_path: Path, kind: str) -> None:
    adapters = [made_by_peft(base, tmp_path / f"l{i}", i, **KINDS[kind][i]) for i in range(2)]
    out = write(summed(base, adapters, [0.5, -0.7]), base, tmp_path / "both", "exact", adapters)
    before = {n: v.numpy() for n, v in loaded(base, adapters[0]).unload().state_dict().items()}
    one, two, made = (weights(base, a) for a in (*adapters, out))
    for name in before:
        want = before[name] + 0.5 * (one[name] - before[name]) - 0.7 * (two[name] - before[name])
        assert np.allclose(made[name], want, atol=3e-6), name
    assert sorted(p.name for p in out.iterdir()) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "deltakit.json",
    ]  # fmt: skip


def test_ranks_add_up_and_alpha_is_the_rank(base: Path, tmp_path: Path) -> None:
    adapters = [made_by_peft(base, tmp_path / f"l{i}", i, **KINDS["other modules"][i]) for i in range(2)]
    out = write(summed(base, adapters, [0.5, 0.5]), base, tmp_path / "both", "exact", adapters)
    read = open_adapter(out)
    assert {m.split(".")[-1]: read.factors(m)[0].shape[1] for m in read.modules} == {"q_proj": 8, "up_proj": 4}
    assert {read.scaling(m) for m in read.modules} == {1.0}
    assert read.config["base_model_name_or_path"] == str(base)
    assert read.config["task_type"] == "CAUSAL_LM"


def test_a_product_is_cut_to_its_best_approximation(base: Path, tmp_path: Path) -> None:
    adapters = [made_by_peft(base, tmp_path / f"l{i}", i) for i in range(2)]
    delta = summed(base, adapters, [1.0, 1.0])
    out = write(delta, base, tmp_path / "cut", 5, adapters)
    cut = adapter_delta(open_adapter(out), open_checkpoint(base))
    name = "model.layers.0.self_attn.q_proj.weight"
    full = torch.from_numpy(delta.rows(name, 0, 32)).double()
    u, s, vt = torch.linalg.svd(full)
    assert np.allclose(cut.rows(name, 0, 32), (u[:, :5] * s[:5] @ vt[:5]).numpy(), atol=1e-5)


def test_a_rank_that_is_enough_stays_exact(base: Path, tmp_path: Path) -> None:
    adapters = [made_by_peft(base, tmp_path / f"l{i}", i) for i in range(2)]
    delta = summed(base, adapters, [1.0, 1.0])
    made = as_lora(delta, open_checkpoint(base), Wanted(100))
    tensors, config = made.tensors, made.config
    assert config["r"] == 8
    same = as_lora(delta, open_checkpoint(base), Wanted("exact")).tensors
    assert all(tensors.buffer(n) == same.buffer(n) for n in same.specs)


def test_a_full_fine_tune_is_factored_and_its_norms_are_stored_whole(base: Path, tmp_path: Path) -> None:
    tuned = tiny_tuned(base, tmp_path / "tuned")
    delta = difference(open_checkpoint(base), open_checkpoint(tuned))
    out = write(delta, base, tmp_path / "lora", 64)
    made, model = weights(base, out), open_checkpoint(tuned)
    for name, spec in model.specs.items():
        want = to_float32(model.buffer(name), spec.dtype).reshape(spec.shape)
        assert np.allclose(made[name], want, atol=1e-6), name
    saved = json.loads((out / "adapter_config.json").read_text())["modules_to_save"]
    assert "model.norm" in saved
    assert "lm_head" in saved


def test_modules_that_adapters_save_whole_are_merged_whole(base: Path, tmp_path: Path) -> None:
    adapters = [made_by_peft(base, tmp_path / f"l{i}", i, modules_to_save=["lm_head"]) for i in range(2)]
    out = write(summed(base, adapters, [0.5, 0.5]), base, tmp_path / "both", "exact", adapters)
    one, two, made = (weights(base, a)["lm_head.weight"] for a in (*adapters, out))
    assert np.allclose(made, (one + two) / 2, atol=1e-6)


def test_what_does_not_fit_is_listed(base: Path, tmp_path: Path) -> None:
    tuned = tiny_tuned(base, tmp_path / "tuned", extra_rows=1)
    delta = difference(open_checkpoint(base), open_checkpoint(tuned))
    with pytest.raises(MismatchError, match="does not fit in a LoRA") as wrong:
        as_lora(delta, open_checkpoint(base), Wanted("exact"))
    found = "\n".join(wrong.value.details)
    assert "model.embed_tokens.weight [89, 32]: has rows that the base lacks" in found
    assert "mlp.up_proj.weight [64, 32]: is no product" in found


def test_nothing_is_no_adapter(base: Path) -> None:
    opened = open_checkpoint(base)
    with pytest.raises(MismatchError, match="does not fit"):
        as_lora(scale(difference(opened, opened), 0.0), opened, Wanted("exact"))


def test_factors_are_rounded_once(base: Path, tmp_path: Path) -> None:
    adapters = [made_by_peft(base, tmp_path / f"l{i}", i) for i in range(2)]
    delta = summed(base, adapters, [0.5, 0.5])
    tensors = as_lora(delta, open_checkpoint(base), Wanted("exact", "BF16")).tensors
    assert {s.dtype for s in tensors.specs.values()} == {"BF16"}
    wide = as_lora(delta, open_checkpoint(base), Wanted("exact")).tensors
    name = next(iter(wide.specs))
    rounded = to_float32(tensors.buffer(name), "BF16")
    assert np.allclose(rounded, to_float32(wide.buffer(name), "F32"), rtol=2**-8)


@pytest.mark.parametrize(("lora", "dtype", "rank"), [("exact", None, 8), (3, "bfloat16", 3)])
def test_a_recipe_writes_an_adapter(base: Path, tmp_path: Path, lora: Rank, dtype: str | None, rank: int) -> None:
    adapters = [made_by_peft(base, tmp_path / f"l{i}", i) for i in range(2)]
    asked = recipe("task_arithmetic", str(base), [str(a) for a in adapters], scale=0.5, lora=lora, dtype=dtype)
    planned = plan_output(asked, tmp_path / "both")
    done = merge(asked, tmp_path / "both")
    assert planned["kind"] == done.kind == "adapter"
    assert planned["files"].keys() == {p.name for p in done.path.iterdir()} - {"deltakit.json"}
    read = open_adapter(done.path)
    assert read.config["r"] == rank
    assert {s.dtype for s in read.weights.specs.values()} == {"BF16" if dtype else "F32"}
    assert loaded(base, done.path)


def test_a_method_that_is_no_sum_needs_a_rank(base: Path, tmp_path: Path) -> None:
    adapters = [str(made_by_peft(base, tmp_path / f"l{i}", i)) for i in range(2)]
    with pytest.raises(MismatchError, match="does not fit"):
        merge(recipe("ties", str(base), adapters, lora="exact"), tmp_path / "both")
    full = plan("ties", str(base), adapters).tensors
    made = weights(base, merge(recipe("ties", str(base), adapters, lora=32), tmp_path / "both").path)
    for name, spec in full.specs.items():
        assert np.allclose(made[name].ravel(), to_float32(full.buffer(name), spec.dtype), atol=1e-5), name


def test_an_adapter_needs_a_base_and_a_folder(base: Path, tmp_path: Path) -> None:
    adapters = [str(made_by_peft(base, tmp_path / f"l{i}", i)) for i in range(2)]
    with pytest.raises(RecipeError, match="adapter is a folder"):
        merge(recipe("task_arithmetic", str(base), adapters, lora=4), tmp_path / "a.delta")
    models = [str(tiny_tuned(base, tmp_path / f"m{i}", seed=i)) for i in (3, 4)]
    with pytest.raises(RecipeError, match="needs a base"):
        merge(recipe("linear", None, models, lora=4), tmp_path / "both")


@pytest.mark.parametrize("method", ["task_arithmetic", "knots", "core_space"])
def test_an_adapter_merges_with_a_full_fine_tune(base: Path, tmp_path: Path, method: str) -> None:
    adapter = made_by_peft(base, tmp_path / "lora", 1, r=3, use_rslora=True)
    tuned = tiny_tuned(base, tmp_path / "tuned")
    given = {} if method == "task_arithmetic" else {"merger": "ties(density=1.0)"}
    items = [{"model": str(adapter), "weight": 0.6}, {"model": str(tuned), "weight": 0.4}]
    made = values(plan(method, str(base), items, **given).tensors)
    start, full, lora = values(open_checkpoint(base)), values(open_checkpoint(tuned)), weights(base, adapter)
    for name, before in start.items():
        taus = (lora[name] - before, full[name] - before)
        want = before + 0.6 * taus[0] + 0.4 * taus[1]
        if method == "task_arithmetic":
            assert np.allclose(made[name], want, atol=3e-6), name
        elif not taus[0].any():  # elected and averaged: the only model that moves is taken whole
            assert np.allclose(made[name], full[name], atol=3e-5), name
        else:
            assert np.abs(made[name] - before).max() > 0.1 * np.abs(taus[0]).max(), name
