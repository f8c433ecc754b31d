"""A tiny vision-language model as a folder: a vision tower that is larger than the language model behind it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from deltakit.tensors import TensorSpec
from support.models import save, save_tokenizer


def tiny_llava(folder: Path, seed: int = 0, *, moved: float = 0.0) -> Path:
    """Weights of seed 0 in float32, each `moved` by noise of `seed`."""
    import transformers
    from transformers.core_model_loading import revert_weight_conversion

    text = transformers.LlamaConfig(
        vocab_size=88, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    vision = transformers.CLIPVisionConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, image_size=16, patch_size=8
    )
    config = transformers.LlavaConfig(text_config=text, vision_config=vision, image_token_index=5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.LlavaForConditionalGeneration(config).eval()
    noise, held = np.random.default_rng(seed), {}
    for name, tensor in sorted(revert_weight_conversion(model, dict(model.state_dict())).items()):
        values = tensor.detach().float().numpy()
        values = values + moved * noise.standard_normal(values.shape).astype(np.float32)
        held[name] = (TensorSpec(values.shape, "F32"), np.ascontiguousarray(values, np.float32).tobytes())
    folder.mkdir()
    save(folder / "model.safetensors", held)
    settings = {**config.to_dict(), "architectures": ["LlavaForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(settings, default=str))
    save_tokenizer(folder, 88)
    return folder
