"""Tiny models of many architectures, built by transformers: the running model, and its checkpoint in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.tensors import Mapped, TensorSpec
from support.models import save, save_tokenizer

_COMMON = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.3,
}  # fmt: skip
_HEADS = {"num_key_value_heads": 1, "head_dim": 8}
# name -> (config class, model class, settings)
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", {**_HEADS, "tie_word_embeddings": False}),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}),
    "qwen3_moe": ("Qwen3MoeConfig", "Qwen3MoeForCausalLM", {
        **_HEADS, "moe_intermediate_size": 8, "num_experts": 3, "num_experts_per_tok": 2, "decoder_sparse_step": 1,
        "tie_word_embeddings": False,
    }),
    "gpt_oss": ("GptOssConfig", "GptOssForCausalLM", {
        **_HEADS, "intermediate_size": 8, "num_local_experts": 3, "num_experts_per_tok": 2,
        "tie_word_embeddings": False,
    }),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", {
        **_HEADS, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"],
    }),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", {"num_key_value_heads": 1, "tie_word_embeddings": False}),
    "bert": ("BertConfig", "BertModel", {}),
}  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """A running model (float32, eager) and the checkpoint that holds the same weights."""

    model: Any
    tensors: Mapped
    sidecar: Sidecar


def tiny(kind: str, seed: int = 0, *, rename: Callable[[str], str] = lambda name: name, **changes: Any) -> Tiny:
    """Random weights of an architecture; `rename` gives the checkpoint other names than transformers would."""
    import transformers
    from transformers.core_model_loading import revert_weight_conversion

    config_name, model_name, own = KINDS[kind]
    common = {k: v for k, v in _COMMON.items() if kind != "gpt2" or not k.startswith(("hidden", "num", "inter"))}
    config = getattr(transformers, config_name)(**{**common, **own, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, model_name)(config).eval()
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    stored = revert_weight_conversion(model, dict(model.state_dict()))
    if config.tie_word_embeddings:
        stored.pop("lm_head.weight", None)
    arrays = {rename(n): np.ascontiguousarray(t.detach().numpy()) for n, t in stored.items()}
    specs = {n: TensorSpec(arrays[n].shape, "F32") for n in sorted(arrays)}
    settings = {**config.to_dict(), "architectures": [model_name]}
    return Tiny(
        model,
        Mapped(
            specs, lambda name, lo, hi: arrays[name][lo:hi].tobytes() if specs[name].shape else arrays[name].tobytes()
        ),
        Sidecar({"config.json": json.dumps(settings, default=str).encode()}),
    )


def token_ids(samples: int = 5, length: int = 12, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Random ids of the tiny vocabulary."""
    return np.random.default_rng(seed).integers(0, 50, (samples, length))


def saved(folder: Path, kind: str, seed: int = 0, *, like: Tiny | None = None, size: float = 0.05) -> Tiny:
    """A folder of such a model with a character tokenizer; `like`: with that model's weights, each moved a little."""
    made = tiny(kind, seed, vocab_size=88)
    held = {n: (s, bytes(made.tensors.buffer(n))) for n, s in made.tensors.specs.items()}
    if like is not None:
        noise = np.random.default_rng(seed)
        for name, spec in like.tensors.specs.items():
            old = np.frombuffer(like.tensors.buffer(name), np.float32)
            held[name] = (spec, (old + size * noise.standard_normal(old.size).astype(np.float32)).tobytes())
    save(folder / "model.safetensors", held)
    (folder / "config.json").write_bytes(made.sidecar.files["config.json"])
    save_tokenizer(folder, 88)
    return made
