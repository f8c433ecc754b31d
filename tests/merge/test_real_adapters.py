"""Two real adapters of GPT-2 on a random base of its shape: they merge to the average of their products, with peft as
oracle; averaging their factors gives something else."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.adapter import open_adapter
from deltakit.delta.open import open_as_delta, open_model
from deltakit.merge.write import merge
from deltakit.tensors import to_float32
from support.merging import plan, recipe
from support.models import save
from support.tensors import tensor

CONFIG = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12,
    "n_positions": 8, "vocab_size": 16, "dtype": "float32", "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
SQUARE = "transformer.h.3.attn.c_proj.weight"  # where a slip in Conv1D's orientation would show only in the values


@pytest.fixture(scope="module")
def adapters(shared_models: Path) -> list[Path]:
    found = sorted((shared_models / "lora").glob("gpt2-tigrinya-r8-run*"))
    if len(found) != 2:
        pytest.skip(f"no pair of real adapters under {shared_models / 'lora'}")
    return found


@pytest.fixture(scope="module")
def base(adapters: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tensors that the adapters change, random, in GPT-2's shapes and orientation (in, out)."""
    adapter = open_adapter(adapters[0])
    rng = np.random.default_rng(0)
    made = {}
    for module in adapter.modules:
        up, down = adapter.factors(module)
        made[f"{module}.weight"] = tensor(0.02 * rng.standard_normal((down.shape[1], up.shape[0]), np.float32), "F32")
    folder = tmp_path_factory.mktemp("gpt2") / "base"
    save(folder / "model.safetensors", {n: made[n] for n in sorted(made)})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture(scope="module")
def model(adapters: list[Path]) -> Any:
    """Both adapters in peft, on a random GPT-2, and their exact combination at 0.5 each."""
    from peft import PeftModel
    from transformers import GPT2Config, GPT2LMHeadModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own use of deprecated things
        made = PeftModel.from_pretrained(GPT2LMHeadModel(GPT2Config(**CONFIG)), adapters[0], adapter_name="one")
        made.load_adapter(adapters[1], adapter_name="two")
    made.add_weighted_adapter(["one", "two"], [0.5, 0.5], "both", combination_type="cat")
    return made


def products(model: Any, adapter: str) -> dict[str, Any]:
    """peft's ΔW of an adapter, by tensor."""
    return {
        name.removeprefix("base_model.model.") + ".weight": module.get_delta_weight(adapter).detach().numpy()
        for name, module in model.named_modules()
        if adapter in getattr(module, "lora_A", {})
    }


@pytest.fixture(scope="module")
def oracle(model: Any) -> dict[str, Any]:
    """The ΔW of both and of their combination, by tensor."""
    found = {a: products(model, a) for a in ("one", "two", "both")}
    return {name: {a: found[a][name] for a in found} for name in found["one"]}


def test_the_merge_is_the_average_of_the_products(adapters: list[Path], base: Path, oracle: dict[str, Any]) -> None:
    items = [{"model": str(a), "weight": 0.5} for a in adapters]
    made, before = plan("task_arithmetic", str(base), items).tensors, open_checkpoint(base)
    assert len(oracle) == 36 == len(before.specs)
    for name, want in oracle.items():
        after, start = (to_float32(m.buffer(name), "F32").reshape(want["both"].shape) for m in (made, before))
        average = (want["one"].astype(np.float64) + want["two"]) / 2
        assert np.allclose(after - start, average, atol=1e-6), name
        assert np.allclose(want["both"], average, atol=1e-6), name


def test_averaging_the_factors_is_something_else(adapters: list[Path], oracle: dict[str, Any]) -> None:
    opened = [open_adapter(a) for a in adapters]
    for name, want in oracle.items():
        factors = [a.factors(name.removesuffix(".weight")) for a in opened]
        up, down = (sum(f[side] for f in factors) / 2 for side in range(2))
        naive = opened[0].scaling(name.removesuffix(".weight")) * (up @ down).T
        assert np.linalg.norm(naive - want["both"]) > 0.3 * np.linalg.norm(want["both"]), name


def test_a_merge_of_adapters_is_a_sum_of_their_terms(adapters: list[Path], base: Path, tmp_path: Path) -> None:
    items = [{"model": str(a), "weight": 0.5} for a in adapters]
    done = merge(recipe("task_arithmetic", str(base), items), tmp_path / "both.delta")
    assert done.kind == "expression"
    assert done.nbytes < 4096
    stored = open_as_delta(str(done.path), open_checkpoint(base))
    assert [p.term.rank for p in stored.entries[SQUARE].parts] == [8, 8]
    said = open_model(f"{base} + 0.5*{adapters[0]} + 0.5*{adapters[1]}").tensors
    assert said.buffer(SQUARE) == open_model(f"{base} + {done.path}").tensors.buffer(SQUARE)


def test_the_merge_is_an_adapter_that_peft_loads(
    adapters: list[Path], base: Path, model: Any, oracle: dict[str, Any], tmp_path: Path
) -> None:
    items = [{"model": str(a), "weight": 0.5} for a in adapters]
    out = merge(recipe("task_arithmetic", str(base), items, lora="exact"), tmp_path / "both").path
    cut = merge(recipe("task_arithmetic", str(base), items, lora=4), tmp_path / "cut").path
    found = {}
    for folder in (out, cut):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.load_adapter(folder, adapter_name=f"written {folder.name}")
        found[folder] = products(model, f"written {folder.name}")
    assert found[out].keys() == found[cut].keys() == oracle.keys()
    for name, want in oracle.items():
        assert np.allclose(found[out][name], want["both"], atol=1e-6), name
    left, values, right = np.linalg.svd(oracle[SQUARE]["both"].astype(np.float64))
    assert np.allclose(found[cut][SQUARE], left[:, :4] * values[:4] @ right[:4], atol=1e-6)


@pytest.mark.parametrize("method", ["knots", "core_space"])
def test_methods_for_adapters_work_on_real_ones(adapters: list[Path], base: Path, method: str) -> None:
    """The sum of products is what both methods keep when they sum; TIES on coordinates lies near it, not on it."""
    items = [{"model": str(a)} for a in adapters]
    start = to_float32(open_checkpoint(base).buffer(SQUARE), "F32")
    summed, elected = (
        to_float32(plan(method, str(base), items, merger=m).tensors.buffer(SQUARE), "F32") - start
        for m in ("task_arithmetic", "ties(density=0.5)")
    )
    plain = to_float32(plan("task_arithmetic", str(base), items).tensors.buffer(SQUARE), "F32") - start
    assert np.allclose(summed, plain, atol=1e-6)
    cosine = float(np.dot(elected, plain) / np.linalg.norm(elected) / np.linalg.norm(plain))
    assert 0.5 < cosine < 0.9999
