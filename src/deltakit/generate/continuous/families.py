"""Which architectures the engine over slots may run: those that have proved token-exact against transformers' own
`generate` (tests/generate/test_exact.py)."""

from __future__ import annotations

from typing import Any

__all__ = ["FAMILIES", "unfit"]

FAMILIES = frozenset({
    "llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "mixtral", "phi", "phi3", "gpt2", "gpt_neox", "gemma", "gemma2",
    "gemma3_text", "olmo", "olmo2", "olmo3", "granite", "starcoder2", "cohere", "gpt_oss",
})  # fmt: skip
_KINDS = {"full_attention", "sliding_attention"}
# rotary embeddings whose angles depend on the longest position of the batch: a row would depend on its neighbours
_BY_BATCH = {"dynamic", "longrope"}


def unfit(model: Any) -> str:
    """Why this running model cannot be run over slots; "" if it can."""
    config = model.config.get_text_config()
    if model.config.model_type not in FAMILIES:
        return f"{model.config.model_type!r} has not been proved token-exact"
    other = sorted({*(getattr(config, "layer_types", None) or ())} - _KINDS)
    if other:
        return f"it has layers of {', '.join(other)}"
    ropes = sorted({*_rope_types(getattr(config, "rope_parameters", None) or {})} & _BY_BATCH)
    return f"its rotary embedding ({ropes[0]}) looks at the whole batch" if ropes else ""


def _rope_types(parameters: dict[str, Any]) -> list[str]:
    """Of all layers together, or of each kind of layer."""
    nested = [found for value in parameters.values() if isinstance(value, dict) for found in _rope_types(value)]
    return [str(parameters.get("rope_type", "default")), *nested]
