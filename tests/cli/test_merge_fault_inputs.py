"""Merging, fault by fault (1 of 4): what is wrong with the models, or between them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from support.cli import call
from support.merge_world import WAYS, changed, family, merged, refused, way
from support.merging import store, values
from support.models import save
from support.tensors import bits, tensor, whole

UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return family(tmp_path)


def arrays(model: Path) -> dict[str, np.ndarray]:
    return {n: v.copy() for n, v in values(open_checkpoint(model)).items()}


@pytest.mark.parametrize("kind", WAYS)
def test_nan_or_inf_in_an_input(world: Path, kind: str) -> None:
    """Refused with names and counts; allowed, it is recorded."""
    up = arrays(world / "math")[UP]
    up[3, 4], up[5, :2] = np.nan, np.inf
    changed(world / "math", model_layers_1_mlp_up_proj=up)
    refused(call(*way(world, kind), "-o", world / "out"), 3, f"math: {UP}: 1 NaN and 2 infinite of 768", "nonfinite")
    assert not (world / "out").exists()
    if kind != "sum":  # what compares or decomposes values has no answer for these
        done = call(*way(world, kind), "-o", world / "out", "--allow-nonfinite")
        refused(done, 3, UP, "1 NaN and 2 infinite", "mend the inputs")
        return
    merged(way(world, kind), world / "out", "--allow-nonfinite")
    made = json.loads((world / "out" / "deltakit.json").read_text())
    assert set(made["output"]["nonfinite"]) == {UP}


def test_overflow_to_inf_at_the_cast_to_fp16(world: Path) -> None:
    """Before the commit, and the tensor is named."""
    up = arrays(world / "math")[UP]
    up[0, 0] = 1e6
    changed(world / "math", model_layers_1_mlp_up_proj=up)
    for kind in ("sum", "ties", "slerp"):
        done = call(*way(world, kind), "--dtype", "float16", "-o", world / "out")
        refused(done, 3, f"{UP}: 0 NaN and 1 infinite of 768 values (F16)", "65504")
    for kind in ("slices", "slerp slices"):
        words = way(world, kind)
        recipe = Path(str(words[1]))
        recipe.write_text(recipe.read_text() + "out_dtype: float16\n")
        refused(call(*words, "-o", world / "out"), 3, UP, "65504")
    assert not (world / "out").exists()


@pytest.mark.parametrize("rows", [(151665, 152064), (128320, 128256)])
@pytest.mark.parametrize("kind", ["sum", "ties", "slerp", "slices"])
def test_vocabularies_of_151665_and_152064_or_128256_and_128320(
    tmp_path: Path, kind: str, rows: tuple[int, int]
) -> None:
    """Planning ends with 3 and offers the base's, the union, or padding. (tests/merge/tokens/test_merged.py takes
    each offer.)"""
    rng = np.random.default_rng(0)
    table = (0.02 * rng.standard_normal((max(rows), 4))).astype(np.float32)
    for name, n in (("base", rows[0]), ("math", rows[0]), ("chat", rows[1])):
        made = {n_: v for n_, v in arrays(family(tmp_path / "small") / name).items() if "layers" in n_}
        folder = Path(store(tmp_path / name, {**made, "model.embed_tokens.weight": table[:n]}, "BF16"))
        (folder / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 2}')
    if kind == "slices" and rows[1] > rows[0]:  # such configs lie in thousands of model cards, so they run, and say it
        said = merged(way(tmp_path, kind), tmp_path / "made")
        assert any("399 rows that the base lacks; dropped" in line for line in said["warnings"])
        return
    done = call(*way(tmp_path, kind), "-o", tmp_path / "out", "--dry-run")
    refused(done, 3, "model.embed_tokens.weight", "base", "union", "pad_to_multiple_of")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", WAYS)
def test_a_tensor_missing_in_or_extra_to_one_model(world: Path, kind: str) -> None:
    """All names at once; a config leaves out what its first model or base lacks, and says so."""
    lacking = "layers.0.mlp.up_proj", "layers.1.input_layernorm"
    changed(world / "math", model_layers_0_mlp_up_proj=None, model_layers_1_input_layernorm=None)
    changed(world / "chat", model_layers_1_mlp_up_proj=None)
    done = call(*way(world, kind), "-o", world / "out", "--dry-run")
    refused(done, 3, "layers.1.mlp.up_proj", *([] if kind == "slerp slices" else lacking))
    extra = family(world / "other")
    changed(extra / "chat", extra=np.ones((3, 2)))
    changed(extra / "chat", **{"model.layers.0.spare": np.ones(4)})
    done = call(*way(extra, kind), "-o", world / "out", "--dry-run", "--format", "json")
    if "slices" in kind:
        notes = "\n".join(done.json["notes"])
        assert all(n in notes for n in ("extra.weight", "model.layers.0.spare.weight")), notes
    else:
        refused(done, 3, "extra.weight", "model.layers.0.spare.weight")
    assert not (world / "out").exists()


@pytest.mark.parametrize("shape", ["[n] and [1, n]", "transposed", "as many elements"])
@pytest.mark.parametrize("kind", WAYS)
def test_other_shapes_are_never_broadcast(world: Path, kind: str, shape: str) -> None:
    norm = arrays(world / "math")["model.layers.0.input_layernorm.weight"]
    up = arrays(world / "math")["model.layers.0.mlp.up_proj.weight"]
    if shape == "[n] and [1, n]":
        changed(world / "math", model_layers_0_input_layernorm=norm[None])
    else:
        changed(world / "math", model_layers_0_mlp_up_proj=up.T if shape == "transposed" else up.reshape(12, 64))
    name = "model.layers.0.input_layernorm" if "[" in shape else "model.layers.0.mlp.up_proj"
    refused(call(*way(world, kind), "-o", world / "out", "--dry-run"), 3, name)
    assert not (world / "out").exists()


@pytest.mark.parametrize("setting", [("rope_theta", 5e5), ("hidden_act", "gelu"), ("rms_norm_eps", 1e-6)])
@pytest.mark.parametrize("kind", ["sum", "slerp", "slices"])
def test_equal_shapes_and_another_rope_theta_activation_or_norm_eps(
    world: Path, kind: str, setting: tuple[str, object]
) -> None:
    here = {
        "model_type": "llama",
        "num_hidden_layers": 2,
        "rope_theta": 1e4,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
    }
    for name in ("base", "math", "chat"):
        (world / name / "config.json").write_text(json.dumps(here))
    (world / "chat" / "config.json").write_text(json.dumps({**here, setting[0]: setting[1]}))
    done = call(*way(world, kind), "-o", world / "out", "--dry-run")
    refused(done, 3, f"{setting[0]} is {setting[1]!r}", repr(here[setting[0]]), "allow_config_drift")
    said = merged(way(world, kind), world / "out", "--allow-config-drift")
    assert any(setting[0] in line for line in said["warnings"])


@pytest.mark.parametrize("kind", ["sum", "ties", "slices"])
def test_a_wrong_base(world: Path, kind: str) -> None:
    """A delta about as large as the base: a warning with the ratio, with --strict an error."""
    base = arrays(world / "base")
    far = {n: v + 0.8 * np.random.default_rng(5).standard_normal(v.shape) for n, v in base.items()}
    store(world / "chat", far, "BF16")
    (world / "chat" / "config.json").write_bytes((world / "base" / "config.json").read_bytes())
    said = merged(way(world, kind), world / "out")
    (line,) = said["warnings"]
    assert "chat: far from" in line
    assert "difference 0.79" in line
    refused(
        call(*way(world, kind), "--strict", "-o", world / "other"), 3, "chat: far from", "difference 0.79", "parent"
    )
    assert not (world / "other").exists()


@pytest.mark.parametrize("kind", ["sum", "ties", "tsv_m", "slices"])
def test_a_delta_of_zeros(world: Path, kind: str) -> None:
    for name in ("math", "chat"):
        (world / name / "model.safetensors").write_bytes((world / "base" / "model.safetensors").read_bytes())
    words = way(world, kind)
    if kind != "slices":  # equal models need names
        words = [f"{Path(str(w)).name}={w}" if w in (world / "math", world / "chat") else w for w in words]
    refused(call(*words, "-o", world / "out"), 6, "no effect")
    assert not (world / "out").exists()


def adapter(folder: Path, module: str) -> Path:
    folder.mkdir()
    made = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "base_model_name_or_path": "base"}
    (folder / "adapter_config.json").write_text(json.dumps(made))
    stem = f"base_model.model.{module}"
    factors = {f"{stem}.lora_A.weight": np.ones((2, 32)), f"{stem}.lora_B.weight": np.ones((24, 2))}
    save(folder / "adapter_model.safetensors", {n: tensor(v, "F32") for n, v in factors.items()})
    return folder


@pytest.mark.parametrize("kind", ["sum", "ties"])
def test_an_adapter_that_matches_no_module(world: Path, kind: str) -> None:
    lost = adapter(world / "lost", "model.layers.7.mlp.up_proj")
    found = adapter(world / "found", "model.layers.1.mlp.up_proj")
    refused(call(*way(world, kind, chat=lost), "-o", world / "out"), 6, "no effect", "model.layers.7.mlp.up_proj")
    assert not (world / "out").exists()
    merged(way(world, kind, chat=found), world / "out")


@pytest.mark.parametrize("kind", ["sum", "slerp", "slices"])
def test_an_output_that_equals_the_base(world: Path, kind: str) -> None:
    words = way(world, kind)
    if kind == "slices":
        recipe = Path(str(words[1]))
        recipe.write_text(recipe.read_text() + "parameters: {lambda: 0}\n")
    refused(call(*words, *{"sum": ["--lambda", 0], "slerp": ["--t", 0], "slices": []}[kind], "-o", world / "out"), 6)
    assert not (world / "out").exists()


@pytest.mark.parametrize("form", ["gptq", "awq", "bitsandbytes", "GGUF"])
@pytest.mark.parametrize("kind", ["sum", "slerp", "slices"])
def test_quantised_or_gguf_input(world: Path, kind: str, form: str) -> None:
    """Refused when planning, with the way to floats."""
    chat = world / "chat"
    if form == "GGUF":
        (chat / "model.safetensors").rename(chat / "model.gguf")
        (chat / "model.gguf").write_bytes(b"GGUF\3\0\0\0")
    else:
        (chat / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": form}}))
    done = call(*way(world, kind), "-o", world / "out", "--dry-run")
    refused(done, 3, "chat", "hint", "dequanti")
    assert not (world / "out").exists()


@pytest.mark.parametrize("kind", WAYS)
def test_forms_that_are_dequantised_on_read_are_no_fault(world: Path, kind: str) -> None:
    """FP8 with a scale gives the bytes of the floats that it stands for."""
    import torch

    up = arrays(world / "chat")[UP]
    codes = torch.from_numpy(up / 0.5).to(torch.float8_e4m3fn)
    plain = (codes.to(torch.float32) * 0.5).numpy()
    changed(world / "chat", model_layers_1_mlp_up_proj=plain)
    merged(way(world, kind), world / "plain")
    opened = open_checkpoint(world / "chat")
    made = {n: (s, bytes(opened.buffer(n))) for n, s in opened.specs.items()}
    made[UP] = bits(codes.view(torch.uint8).numpy(), "F8_E4M3")
    made[f"{UP}_scale"] = tensor(np.float32(0.5), "F32")
    save(world / "chat" / "model.safetensors", made)
    written = {"model_type": "llama", "num_hidden_layers": 2, "quantization_config": {"quant_method": "fp8"}}
    (world / "chat" / "config.json").write_text(json.dumps(written))
    said = merged(way(world, kind), world / "out")
    assert any("quantised" in note for note in said["notes"])
    assert whole(open_checkpoint(world / "out")) == whole(open_checkpoint(world / "plain"))
