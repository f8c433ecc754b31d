"""A running model's frame without its weights: every weight has its shape, and one element of memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from deltakit.runtime.load import build
from deltakit.runtime.skeleton import model_config
from deltakit.tensors import TensorSpec, torch_dtype

if TYPE_CHECKING:
    from deltakit.checkpoint import Sidecar

__all__ = ["hollow_model", "hollow_out", "weights_of"]


def hollow_model(specs: Mapping[str, TensorSpec], sidecar: Sidecar, dtype: str = "F32", device: str = "cpu") -> Any:
    """The transformers model that fits a checkpoint's names and shapes; its weights are zeros that share one element,
    its buffers (rotary frequencies, masks) are real. The errors of `load_model`.

    Names and packing are settled by transformers' own loader. Weights that it packs (experts) are made whole once, in
    `dtype`, before they are hollowed out.
    """
    config = model_config(sidecar)
    state = {n: _nothing(s.shape, torch_dtype(dtype if s.is_float else s.dtype)) for n, s in sorted(specs.items())}
    model = build(config, state, torch_dtype(dtype))
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # one product an expert, which can be watched
    for part in (model.config, model.config.get_text_config()):
        part.use_cache = False
    hollow_out(model, weights_of(model), device)
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(device)
    return model


def hollow_out(model: Any, names: Iterable[str], device: str | None = None) -> None:
    """Let go of the memory of weights, by their names within the model; `device` moves what is left of them."""
    places = weights_of(model)
    for name in names:
        weight = places[name]
        weight.data = _nothing(tuple(weight.shape), weight.dtype, device or weight.device)


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    """Parameters and stored buffers by their names within the model; a tied one under each of its names."""
    found = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    return {name: found[name] for name in model.state_dict() if name in found}


def _nothing(shape: tuple[int, ...], dtype: torch.dtype, device: Any = "cpu") -> torch.Tensor:
    return torch.zeros((), dtype=dtype, device=device).expand(shape)
