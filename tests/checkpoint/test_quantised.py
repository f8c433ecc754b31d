"""Quantised weights are refused with the way out."""

from __future__ import annotations

import pytest

from deltakit.checkpoint.quantised import refuse_quantised
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec


def test_plain_weights_pass() -> None:
    specs = {"a.weight": TensorSpec((2, 2), "BF16"), "ids": TensorSpec((2,), "I64"), "scales": TensorSpec((2,), "F32")}
    refuse_quantised("m", specs, {"model_type": "llama", "quantization_config": None})
    refuse_quantised("m", specs, None)


def test_the_config_tells_the_method() -> None:
    with pytest.raises(CheckpointError, match="gptq") as caught:
        refuse_quantised("m", {}, {"quantization_config": {"quant_method": "gptq"}})
    assert "dequantise" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("m.q_proj.qweight", "I32"),
        ("m.q_proj.weight_packed", "I32"),
        ("m.q_proj.weight_scale_inv", "F32"),
        ("m.q_proj.weight.absmax", "U8"),
        ("m.q_proj.weight.quant_state.bitsandbytes__nf4", "U8"),
        ("m.q_proj.SCB", "F32"),
        ("m.q_proj.weight", "F8_E4M3"),
    ],
)
def test_the_tensors_tell(name: str, dtype: str) -> None:
    with pytest.raises(CheckpointError, match="quantised") as caught:
        refuse_quantised("m", {name: TensorSpec((2, 2), dtype), "norm": TensorSpec((2,), "F32")}, {})
    assert caught.value.details == (f"{name}: {dtype} [2, 2]",)
