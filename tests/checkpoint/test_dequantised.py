"""Quantised checkpoints seen as floats: which tensors are codes, what is hidden, and what stays refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deltakit.checkpoint.dequantised import Dequantised, dequantised, open_floats
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.open import open_model
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec, to_float32
from support.models import random_tensors, save
from support.tensors import bits, normal, tensor

PLAIN = {"embed.weight": tensor(normal((20, 8), 9)), "norm.weight": tensor(np.ones(8))}


def stored(folder, tensors, quantization=None, **config):
    save(folder / "model.safetensors", {**PLAIN, **tensors})
    if quantization is not None:
        config["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps({"model_type": "toy", "torch_dtype": "bfloat16", **config}))
    return folder


def e4m3(values):
    """A float8 tensor by torch's own rounding, and the values that it then has."""
    import torch

    codes = torch.from_numpy(np.asarray(values, np.float32)).to(torch.float8_e4m3fn)
    return bits(codes.view(torch.uint8).numpy(), "F8_E4M3"), codes.to(torch.float32).numpy()


def bf16(values):
    """As torch rounds to bfloat16, back in float32."""
    import torch

    return torch.from_numpy(np.asarray(values, np.float32)).to(torch.bfloat16).to(torch.float32).numpy()


def values(view, name):
    spec = view.specs[name]
    return to_float32(view.buffer(name), spec.dtype).reshape(spec.shape)


def compressed(**more):
    group = {"weights": {"num_bits": 8, "type": "int", **more.pop("weights", {})}}
    return {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"g": group}, **more}


def test_blocks_as_deepseeks(tmp_path):
    codes, exact = e4m3(normal((200, 300), 1))
    scale = np.abs(normal((2, 3), 2))
    folder = stored(
        tmp_path,
        {"a.weight": codes, "a.weight_scale_inv": tensor(scale, "F32")},
        {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"},
    )
    view = open_floats(folder)
    assert view.specs == {
        "a.weight": TensorSpec((200, 300), "BF16"),
        **{n: s for n, (s, _) in PLAIN.items()},
    }
    full = scale.repeat(128, 0)[:200].repeat(128, 1)[:, :300]
    assert np.array_equal(values(view, "a.weight"), bf16(exact * full))
    whole = bytes(view.buffer("a.weight"))
    assert bytes(view.buffer("a.weight", 100, 150)) == whole[100 * 600 : 150 * 600]
    assert bytes(view.buffer("embed.weight", 3, 5)) == PLAIN["embed.weight"][1][3 * 16 : 5 * 16]


def test_blocks_are_128_where_the_config_does_not_say(tmp_path):
    """200 columns and two scales: blocks of 128, not halves."""
    codes, exact = e4m3(normal((130, 200), 1))
    scale = np.abs(normal((2, 2), 2))
    folder = stored(tmp_path, {"a.weight": codes, "a.weight_scale_inv": tensor(scale, "F32")}, {"quant_method": "fp8"})
    full = scale.repeat(128, 0)[:130].repeat(128, 1)[:, :200]
    assert np.array_equal(values(open_floats(folder), "a.weight"), bf16(exact * full))


@pytest.mark.parametrize(
    ("method", "shape"),
    [("fbgemm_fp8", (24, 1)), ("modelopt", ()), ("compressed-tensors", (24, 1)), ("compressed-tensors", (1,))],
)
def test_scales_for_the_tensor_or_its_rows(method, shape, tmp_path):
    codes, exact = e4m3(normal((24, 16), 1))
    scale = np.abs(normal(shape, 2)).astype(np.float32)
    quantization = compressed(format="float-quantized", weights={"type": "float"}, quant_method=method)
    made = {"a.weight": codes, "a.weight_scale": tensor(scale, "F32"), "a.input_scale": tensor(np.ones(()), "F32")}
    view = open_floats(stored(tmp_path, {**made, "a.k_scale": tensor(np.ones(1))}, quantization))
    assert sorted(view.specs) == ["a.weight", "embed.weight", "norm.weight"]
    assert np.array_equal(values(view, "a.weight"), bf16(exact * scale))


def test_packed_experts_in_float8(tmp_path):
    codes, exact = e4m3(normal((3, 200, 140), 1))
    scale = np.abs(normal((3, 2, 2), 2))
    made = {"mlp.experts.gate_up_proj": codes, "mlp.experts.gate_up_proj_scale_inv": tensor(scale, "F32")}
    view = open_floats(stored(tmp_path, made, {"quant_method": "fp8", "weight_block_size": [128, 128]}))
    full = scale.repeat(128, 1)[:, :200].repeat(128, 2)[:, :, :140]
    assert np.array_equal(values(view, "mlp.experts.gate_up_proj"), bf16(exact * full))
    assert (
        bytes(view.buffer("mlp.experts.gate_up_proj", 1, 2))
        == bytes(view.buffer("mlp.experts.gate_up_proj"))[56000:112000]
    )


def test_a_plain_cast_needs_no_scale(tmp_path):
    codes, exact = e4m3(normal((24, 16), 1))
    assert np.array_equal(values(open_floats(stored(tmp_path, {"a.weight": codes})), "a.weight"), exact)


@pytest.mark.parametrize("zeros", [False, True])
def test_8_bit_integers(zeros, tmp_path):
    rng = np.random.default_rng(3)
    codes, zero = rng.integers(-128, 128, (12, 16)).astype(np.int8), rng.integers(-128, 128, (12, 1)).astype(np.int8)
    scale = np.abs(normal((12, 1), 2))
    made = {"a.weight": bits(codes.view(np.uint8), "I8"), "a.weight_scale": tensor(scale, "BF16")}
    if zeros:
        made["a.weight_zero_point"] = bits(zero.view(np.uint8), "I8")
    view = open_floats(stored(tmp_path, made, compressed()))
    exact = codes.astype(np.float32) - (zero if zeros else 0)
    assert np.array_equal(values(view, "a.weight"), bf16(exact * bf16(scale)))


def packed(columns=40, group=8, seed=0):
    """compressed-tensors' pack-quantized int4, laid out by a loop: (tensors, values)."""
    rng = np.random.default_rng(seed)
    codes, zeros = rng.integers(0, 16, (20, columns)), rng.integers(0, 16, (20, columns // group))
    words, heads = np.zeros((20, -(-columns // 8)), np.uint32), np.zeros((3, columns // group), np.uint32)
    for r in range(20):
        for c in range(columns):
            words[r, c // 8] |= np.uint32(int(codes[r, c]) << (c % 8 * 4))
        for g in range(columns // group):
            heads[r // 8, g] |= np.uint32(int(zeros[r, g]) << (r % 8 * 4))
    scale = bf16(np.abs(normal((20, columns // group), seed)))
    made = {
        "a.weight_packed": bits(words, "I32"), "a.weight_scale": tensor(scale),
        "a.weight_zero_point": bits(heads, "I32"), "a.weight_shape": bits(np.array([20, columns]), "I64"),
    }  # fmt: skip
    return made, (codes - zeros.repeat(group, 1)).astype(np.float32) * scale.repeat(group, 1)


def test_packed_4_bit_integers(tmp_path):
    made, expected = packed()
    quantization = compressed(format="pack-quantized", weights={"num_bits": 4, "group_size": 8})
    view = open_floats(stored(tmp_path, made, quantization))
    assert sorted(view.specs) == ["a.weight", "embed.weight", "norm.weight"]
    assert np.array_equal(values(view, "a.weight"), bf16(expected))
    whole = bytes(view.buffer("a.weight"))
    assert b"".join(bytes(view.buffer("a.weight", lo, lo + 3)) for lo in (0, 3, 6, 9, 12, 15)) == whole[: 18 * 80]


def test_columns_that_do_not_fill_the_last_word(tmp_path):
    made, expected = packed(columns=35, group=7)
    quantization = compressed(format="pack-quantized", weights={"num_bits": 4, "group_size": 7})
    assert np.array_equal(values(open_floats(stored(tmp_path, made, quantization)), "a.weight"), bf16(expected))


def test_dense_weights_that_keep_their_scales_are_as_they_are(tmp_path):
    made = {"a.weight": tensor(normal((4, 4), 1)), "a.weight_scale": tensor(np.ones((4, 1)))}
    view = open_floats(stored(tmp_path, made, compressed(quantization_status="frozen")))
    assert bytes(view.buffer("a.weight")) == made["a.weight"][1]
    assert "a.weight_scale" not in view.specs


def test_the_view_is_a_checkpoint_in_all_else(tmp_path):
    made, _ = packed()
    quantization = compressed(format="pack-quantized", weights={"num_bits": 4})
    folder = stored(tmp_path, made, quantization, vocab_size=20)
    view, plain = open_floats(folder), open_checkpoint(folder, allow_quantised=True)
    assert isinstance(view, Dequantised)
    assert view.sidecar.config == {"model_type": "toy", "torch_dtype": "bfloat16", "vocab_size": 20}
    assert "1 quantised tensors are read as BF16" in view.notes[-1]
    assert set(view.order) == set(view.specs)
    assert (view.identity, view.inputs, view.source) == (plain.identity, plain.inputs, plain.source)
    view.prefetch("a.weight")
    view.check_unchanged()
    assert fingerprint(view) == fingerprint(open_floats(folder)) != fingerprint(plain)


@pytest.mark.parametrize(("config", "dtype"), [("float16", "F16"), ("float32", "F32"), ("auto", "BF16")])
def test_the_dtype_is_the_configurations(config, dtype, tmp_path):
    codes, exact = e4m3(normal((4, 4), 1))
    view = open_floats(stored(tmp_path, {"a.weight": codes}, torch_dtype=config))
    assert view.specs["a.weight"].dtype == dtype
    assert np.array_equal(values(view, "a.weight"), exact)
    nested = stored(tmp_path / "n", {"a.weight": codes}, torch_dtype=None, text_config={"dtype": config})
    assert open_floats(nested).specs["a.weight"].dtype == dtype


def test_floats_stay_as_they_are(tmp_path):
    checkpoint = open_checkpoint(stored(tmp_path, {"layer": PLAIN["norm.weight"], "layer_scale": PLAIN["norm.weight"]}))
    assert dequantised(checkpoint) is checkpoint


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "gptq"}, {"quant_method": "awq"}, {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "mxfp4"}, {"quant_method": "modelopt", "quant_algo": "NVFP4"}, "strange",
        compressed(format="nvfp4-pack-quantized"), compressed(format="marlin-24"),
        compressed(sparsity_config={"format": "sparse-24-bitmask"}), compressed(transform_config={"a": 1}),
        compressed(),
    ],
)  # fmt: skip
def test_what_stays_refused(quantization, tmp_path):
    folder = stored(tmp_path, {}, quantization)
    with pytest.raises(CheckpointError, match="is quantised"):
        open_floats(folder)


def test_codes_of_other_tools_are_refused_by_their_names(tmp_path):
    made = random_tensors({"a.qweight": TensorSpec((4, 4), "I32"), "a.weight.absmax": TensorSpec((4,), "F32")})
    with pytest.raises(CheckpointError, match="codes and scales") as caught:
        open_floats(stored(tmp_path, made))
    assert len(caught.value.details) == 2


def test_scales_that_do_not_fit_are_all_named(tmp_path):
    codes, _ = e4m3(normal((30, 8), 1))
    made, _ = packed()
    made |= {"b.weight": codes, "b.weight_scale": tensor(np.ones(7), "F32"), "c.weight": codes}
    made |= {"d.weight_packed": made["a.weight_packed"], "d.weight_scale": made["a.weight_scale"]}
    with pytest.raises(CheckpointError, match="not read") as caught:
        open_floats(stored(tmp_path, made, compressed(format="pack-quantized", weights={"num_bits": 4})))
    assert [d.split(":")[0] for d in caught.value.details] == ["b.weight", "c.weight", "d.weight_packed"]


def test_scales_that_are_no_numbers_are_refused(tmp_path):
    codes, _ = e4m3(normal((32, 32), 1))
    made = {"b.weight": codes, "b.weight_scale": bits(np.full((32, 1), 127), "U8")}
    with pytest.raises(CheckpointError, match="not read"):
        open_floats(stored(tmp_path, made, {"quant_method": "fp8"}))


def test_only_those_who_ask_get_dequantised_weights(tmp_path):
    codes, _ = e4m3(normal((4, 4), 1))
    folder = stored(tmp_path, {"a.weight": codes})
    with pytest.raises(CheckpointError, match="quantised"):
        open_model(str(folder))
    assert open_model(str(folder), dequantise=True).tensors.specs["a.weight"].dtype == "BF16"
