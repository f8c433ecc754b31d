"""Attention over a slot cache in its obvious float32 form: the oracle of every faster kernel.

A faster `attend` takes the same arguments and agrees with this one; `Decode` (hook.py) calls it.
"""

from __future__ import annotations

import torch

from deltakit.generate.continuous.slots import SlotCache

__all__ = ["attend", "attend_prompt"]


def attend(
    query: torch.Tensor,
    cache: SlotCache,
    layer: int,
    slots: torch.Tensor,
    lengths: torch.Tensor,
    scale: float,
    *,
    width: int = 0,
    window: int = 0,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
) -> torch.Tensor:
    """One new token a row: query (rows, heads, 1, head size) to (rows, 1, heads, head size), in the query's dtype.

    Row i sees the positions [0, lengths[i]) of slots[i] (both (rows,) int32), its own being the last and written
    already; with `window` the last so many of them. `width`, where the host knows it, is at least the longest length.
    Scores are scale * q k, capped to softcap * tanh(score / softcap) where there is one; `sinks` (heads,) are scores
    that draw weight and give nothing (attention sinks). Query heads are grouped: head h reads key head h // group.
    """
    width = width or int(lengths.max())
    keys, values = (held[layer][slots.long(), :, :width] for held in (cache.keys, cache.values))
    rows, heads, _, size = query.shape
    grouped = query.reshape(rows, keys.shape[1], -1, size)
    at = torch.arange(width, device=query.device)
    seen = at < lengths[:, None]
    if window:
        seen = seen & (at >= lengths[:, None] - window)
    out = _weighed(grouped, keys, values, seen[:, None, None], scale, softcap, sinks)
    return out.reshape(rows, 1, heads, size).to(query.dtype)


def attend_prompt(
    query: torch.Tensor,
    cache: SlotCache,
    layer: int,
    slot: int,
    start: int,
    scale: float,
    *,
    window: int = 0,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
) -> torch.Tensor:
    """Consecutive tokens of one row: query (heads, tokens, head size) to (tokens, heads, head size).

    The tokens stand at positions start, start + 1, ... of `slot`, are written already, and each sees all up to itself.
    """
    heads, tokens, size = query.shape
    keys, values = (held[layer][slot, :, : start + tokens] for held in (cache.keys, cache.values))
    own = torch.arange(start, start + tokens, device=query.device)[:, None]
    at = torch.arange(start + tokens, device=query.device)
    seen = (at <= own) & (at > own - window) if window else at <= own
    grouped = query.reshape(keys.shape[0], -1, size)  # (kv heads, group * tokens, head size)
    seen = seen.repeat(heads // keys.shape[0], 1)
    sinks = None if sinks is None else sinks.repeat_interleave(tokens)
    out = _weighed(grouped, keys, values, seen, scale, softcap, sinks)
    return out.reshape(heads, tokens, size).transpose(0, 1).to(query.dtype)


def _weighed(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    seen: torch.Tensor,
    scale: float,
    softcap: float,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """softmax(scale * query keysᵀ) values over what is seen: query (..., kv heads, queries, head size)."""
    scores = (query.float() @ keys.float().transpose(-1, -2)) * scale
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~seen, float("-inf"))
    if sinks is None:
        return scores.softmax(-1) @ values.float()
    drawn = sinks.float().reshape(*scores.shape[-3:-1], 1).expand(*scores.shape[:-1], 1)
    return torch.cat([scores, drawn], -1).softmax(-1)[..., :-1] @ values.float()
