"""Refuse weights that are codes, not numbers: merging or subtracting them would be nonsense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec

__all__ = ["GGUF_REMEDY", "refuse_quantised"]

_MARKS = (".qweight", ".qzeros", ".weight_packed", ".weight_scale", ".weight_scale_inv", ".absmax", ".SCB")
_LOAD = "from transformers import AutoModelForCausalLM as A; A.from_pretrained"
_REMEDY = (
    "take the unquantised release, or dequantise first: "
    f"""python -c "{_LOAD}('MODEL').dequantize().save_pretrained('NEW')\""""
)
GGUF_REMEDY = (
    "take the safetensors release, or dequantise first: "
    f"""python -c "{_LOAD}('FOLDER', gguf_file='NAME.gguf').save_pretrained('NEW')\""""
)


def refuse_quantised(where: str, specs: Mapping[str, TensorSpec], config: Mapping[str, Any] | None) -> None:
    """CheckpointError if config.json or the tensors say that the weights are quantised."""
    method = (config or {}).get("quantization_config")
    if method:
        kind = method.get("quant_method", "unknown method") if isinstance(method, dict) else method
        raise CheckpointError(f"{where} is quantised ({kind}, says its config.json)", remedy=_REMEDY)
    marks = [n for n, s in specs.items() if n.endswith(_MARKS) or ".quant_state." in n or s.dtype.startswith("F8_")]
    if marks:
        details = [f"{name}: {specs[name].dtype} {list(specs[name].shape)}" for name in marks]
        raise CheckpointError(f"{where} is quantised: it holds codes and scales", details=details, remedy=_REMEDY)
