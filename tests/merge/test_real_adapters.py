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
def oracle(adapters: list[Path], base: Path) -> dict[str, Any]:
    """peft's ΔW of both, and of its exact combination at 0.5 each, by tensor."""
    from peft import PeftModel
    from transformers import GPT2Config, GPT2LMHeadModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own use of deprecated things
        model = PeftModel.from_pretrained(GPT2LMHeadModel(GPT2Config(**CONFIG)), adapters[0], adapter_name="one")
        model.load_adapter(adapters[1], adapter_name="two")
    model.add_weighted_adapter(["one", "two"], [0.5, 0.5], "both", combination_type="cat")
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            plain = name.removeprefix("base_model.model.") + ".weight"
            found[plain] = {a: module.get_delta_weight(a).detach().numpy() for a in ("one", "two", "both")}
    return found


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
