"""Tiny models of every family that the engine may run over slots, with random weights or trained a little."""

from __future__ import annotations

from typing import Any

import torch

_SMALL = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GROUPED = {**_SMALL, "num_key_value_heads": 2}
_SIZED = {**_GROUPED, "head_dim": 6}
_LAYERS = {"layer_types": ["sliding_attention", "full_attention"]}
_EXPERTS = {"num_experts_per_tok": 2, "num_local_experts": 3}

# model_type and what is particular -> (config class, settings)
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _SIZED),
    "llama, scaled positions": ("LlamaConfig", {**_SIZED, "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }}),
    "mistral": ("MistralConfig", {**_SIZED, "sliding_window": None}),
    "mistral, sliding window": ("MistralConfig", {**_SIZED, "sliding_window": 7}),
    "qwen2": ("Qwen2Config", _GROUPED),
    "qwen2, some layers sliding": ("Qwen2Config", {
        **_GROUPED, "use_sliding_window": True, "sliding_window": 5, **_LAYERS,
    }),
    "qwen3": ("Qwen3Config", _SIZED),
    "qwen3_moe": ("Qwen3MoeConfig", {
        **_SIZED, "moe_intermediate_size": 8, "num_experts": 3, "num_experts_per_tok": 2, "decoder_sparse_step": 1,
    }),
    "mixtral": ("MixtralConfig", {**_SIZED, **_EXPERTS}),
    "phi": ("PhiConfig", _GROUPED),
    "phi3": ("Phi3Config", _GROUPED),
    "gpt2": ("GPT2Config", {
        "vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 128, "bos_token_id": 1,
        "eos_token_id": 2,
    }),
    "gpt_neox": ("GPTNeoXConfig", _SMALL),
    "gemma": ("GemmaConfig", _SIZED),
    "gemma2": ("Gemma2Config", {**_SIZED, "sliding_window": 6, "attn_logit_softcapping": 4.0, **_LAYERS}),
    "gemma3_text": ("Gemma3TextConfig", {**_SIZED, "sliding_window": 6, **_LAYERS}),
    "olmo": ("OlmoConfig", _GROUPED),
    "olmo2": ("Olmo2Config", _GROUPED),
    "olmo3": ("Olmo3Config", {**_GROUPED, "sliding_window": 6, **_LAYERS}),
    "granite": ("GraniteConfig", {**_GROUPED, "attention_multiplier": 0.3}),
    "starcoder2": ("Starcoder2Config", {**_GROUPED, "sliding_window": None}),
    "cohere": ("CohereConfig", _GROUPED),
    "gpt_oss": ("GptOssConfig", {**_SIZED, **_EXPERTS, "sliding_window": 6, **_LAYERS}),
}  # fmt: skip


def made(name: str, *, spread: float = 0.3, **changes: Any) -> Any:
    """A running model with random weights, float32 on the CPU."""
    import transformers

    config_class, settings = MADE[name]
    settings = {**settings, "initializer_range": spread, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config_class)(**settings))
    return model.eval()


@torch.enable_grad()
def trained(name: str, steps: int = 25) -> Any:
    """The same trained for a moment to count on by threes, so that it is sure of most of what it says."""
    model = made(name, spread=0.1)
    draw = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(steps):
            starts, jumps = (torch.randint(3, high, (16, 1), generator=draw) for high in (50, 6))
            ids = 3 + (starts + jumps * torch.arange(20)) % 47
            loss = model(input_ids=ids, labels=ids).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.requires_grad_(False)
