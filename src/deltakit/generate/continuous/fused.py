"""Attention over slots by fused kernels: same arguments as those of attention.py, which are the oracle.

Decoding: our Triton kernel, on CUDA devices. Prompts: torch's scaled_dot_product_attention, on any device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import scaled_dot_product_attention

from deltakit.generate.continuous import attention
from deltakit.generate.continuous.slots import SlotCache

__all__ = ["attend", "attend_prompt", "decoding_on"]


def decoding_on(device: str) -> Callable[..., torch.Tensor]:
    """The `attend` for a device type: the kernel on cuda where Triton is there, else the plain form."""
    if device != "cuda":
        return attention.attend
    try:
        import triton  # noqa: F401
    except ImportError:
        return attention.attend
    return attend


def attend(
    query: torch.Tensor, cache: SlotCache, layer: int, slots: torch.Tensor, lengths: torch.Tensor, scale: float,
    *, width: int = 0, window: int = 0, softcap: float = 0.0, sinks: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """As `attention.attend`; `width` is not needed, so that nothing is asked of the device."""
    from deltakit.generate.continuous.kernels.decode import decode_attention

    found = decode_attention(
        query[:, :, 0], cache.keys[layer], cache.values[layer], slots, lengths,
        scale=scale, window=window, softcap=softcap, sinks=sinks,
    )  # fmt: skip
    return found[:, None]


def attend_prompt(
    query: torch.Tensor, cache: SlotCache, layer: int, slot: int, start: int, scale: float,
    *, window: int = 0, softcap: float = 0.0, sinks: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """As `attention.attend_prompt`, which does what torch's operation cannot: a soft cap, and sinks."""
    if softcap or sinks is not None:
        plain = attention.attend_prompt
        return plain(query, cache, layer, slot, start, scale, window=window, softcap=softcap, sinks=sinks)
    tokens = query.shape[1]
    keys, values = (held[layer][slot, None, :, : start + tokens] for held in (cache.keys, cache.values))
    seen = None
    if start or window:
        own = torch.arange(start, start + tokens, device=query.device)[:, None]
        at = torch.arange(start + tokens, device=query.device)
        seen = (at <= own) & (at > own - window) if window else at <= own
    out = scaled_dot_product_attention(
        query[None], keys, values, attn_mask=seen, is_causal=seen is None, scale=scale, enable_gqa=True
    )
    return out[0].transpose(0, 1)
