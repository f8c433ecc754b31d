"""Attention for training under bf16 autocast on the CPU.

torch's fused CPU attention has a slow backward pass in bfloat16: at 32 x 5 heads x 70 tokens forward and backward take
42 ms in bfloat16 and 11 ms in float32 (one core with AMX), and float32 stays ahead up to at least 1,000 tokens. So
queries, keys and values go up to float32 for this one operation, which is more exact besides.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["use_float32_attention"]

_NAME = "deltakit_float32"


def use_float32_attention(model: Any) -> None:
    """Switch a model that runs torch's fused attention to the same in float32; models with others stay as they are."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    if model.config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    # autocast would take float32 back to bfloat16
    with torch.autocast("cpu", enabled=False):
        found, _ = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask, **kwargs
        )  # fmt: skip
    return found.to(query.dtype), None
