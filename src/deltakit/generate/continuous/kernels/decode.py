"""Attention of one new token a row over a slot cache or pages, in Triton (split over positions as in Flash-Decoding,
combined by log-sum-exp; the online softmax of arXiv 2205.14135).

A split covers a fixed range of positions, whatever the batch: a row's result depends on its own keys and values alone,
and nothing is added atomically, so the same row gives the same bits in every batch.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

__all__ = ["decode_attention"]

# Bytes of keys in flight at a time, and as many of values: three stages fit in any GPU's shared memory.
_STAGE = 1 << 14
_LEAST = 16  # rows, columns and depth that a matrix product of the tensor cores takes at least


@triton.jit
def _places(table, row, n, inside, pages, page, BLOCK: tl.constexpr, PAGED: tl.constexpr):
    """The slot or page of each position of a row, and where in it the position stands."""
    if PAGED:
        place = tl.load(table + row * pages + n // page, mask=inside, other=0).to(tl.int64)
        at = n % page
    else:
        place = tl.load(table + row).to(tl.int64) + tl.full([BLOCK], 0, tl.int64)
        at = n
    return place, at


@triton.jit
def _attend_part(
    out, partial, sums, query, keys, values, table, lengths, sinks,
    q_row, q_head, k_page, k_head, k_position, v_page, v_head, v_position, o_row, o_head,
    pages, page, scale, cap, split,
    GROUP: tl.constexpr, HEADS: tl.constexpr, SIZE: tl.constexpr, M: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
    WINDOW: tl.constexpr, CAPPED: tl.constexpr, SINKS: tl.constexpr, PAGED: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """One (row, key-value head, split): all query heads that share the key-value head at once. Scores are in powers of
    two: exp(x) = 2 ** (1.4427 x)."""
    row, kv, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths + row)
    m = tl.arange(0, M)
    d = tl.arange(0, D)
    heads = kv * GROUP + m
    real = (m < GROUP)[:, None] & (d < SIZE)[None, :]
    q = tl.load(query + row * q_row + heads[:, None] * q_head + d[None, :], mask=real, other=0.0)

    low = part * split
    high = tl.minimum(low + split, length)
    if WINDOW > 0:
        low = tl.maximum(low, length - WINDOW)
    if SINKS and SPLITS == 1:  # else they are counted when the splits are combined
        best = tl.load(sinks + heads, mask=m < GROUP, other=0.0).to(tl.float32) * 1.4426950408889634
        total = tl.full([M], 1.0, tl.float32)
    else:
        best = tl.full([M], float("-inf"), tl.float32)
        total = tl.full([M], 0.0, tl.float32)
    mixed = tl.full([M, D], 0.0, tl.float32)
    for start in range(low, high, BLOCK):
        n = start + tl.arange(0, BLOCK)
        inside = n < high
        place, at = _places(table, row, n, inside, pages, page, BLOCK, PAGED)
        there = inside[:, None] & (d < SIZE)[None, :]
        k = tl.load(
            keys + (place * k_page + kv * k_head + at * k_position)[:, None] + d[None, :], mask=there, other=0.0
        )
        score = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        if CAPPED:
            score = cap * (1.0 - 2.0 / (1.0 + tl.exp(2.0 * score / cap)))  # tanh
        score = tl.where(inside[None, :], score * 1.4426950408889634, float("-inf"))
        higher = tl.maximum(best, tl.max(score, 1))
        shrink = tl.exp2(best - higher)
        share = tl.exp2(score - higher[:, None])
        v = tl.load(
            values + (place * v_page + kv * v_head + at * v_position)[:, None] + d[None, :], mask=there, other=0.0
        )
        mixed = mixed * shrink[:, None] + tl.dot(share.to(v.dtype), v, input_precision="ieee")
        total = total * shrink + tl.sum(share, 1)
        best = higher

    above = tl.where(total > 0, total, 1.0)
    mixed = mixed / above[:, None]
    if SPLITS == 1:
        tl.store(out + row * o_row + heads[:, None] * o_head + d[None, :], mixed.to(out.dtype.element_ty), mask=real)
    else:
        where = (row * HEADS + heads) * SPLITS + part
        tl.store(sums + where, tl.where(total > 0, best + tl.log2(above), float("-inf")), mask=m < GROUP)
        if low < high:
            tl.store(partial + where[:, None].to(tl.int64) * SIZE + d[None, :], mixed, mask=real)


@triton.jit
def _combine(
    out, partial, sums, sinks, o_row, o_head,
    HEADS: tl.constexpr, SIZE: tl.constexpr, D: tl.constexpr, SINKS: tl.constexpr,
    SPLITS: tl.constexpr, S: tl.constexpr,
):  # fmt: skip
    """One (row, head): its splits weighted by their share of the softmax, in a fixed order; zeros for an empty row."""
    row = tl.program_id(0)
    head = tl.program_id(1)
    first = (row * HEADS + head) * SPLITS
    s = tl.arange(0, S)
    d = tl.arange(0, D)
    sizes = tl.load(sums + first + s, mask=s < SPLITS, other=float("-inf"))
    best = tl.max(sizes, 0)
    if SINKS:
        sink = tl.load(sinks + head).to(tl.float32) * 1.4426950408889634
        best = tl.maximum(best, sink)
    best = tl.where(best == float("-inf"), 0.0, best)
    share = tl.exp2(sizes - best)
    total = tl.sum(share, 0)
    if SINKS:
        total += tl.exp2(sink - best)
    known = (sizes > float("-inf"))[:, None] & (d < SIZE)[None, :]  # a split without positions wrote nothing
    parts = tl.load(partial + (first + s)[:, None].to(tl.int64) * SIZE + d[None, :], mask=known, other=0.0)
    found = tl.sum(parts * share[:, None], 0) / tl.where(total > 0, total, 1.0)
    tl.store(out + row * o_row + head * o_head + d, found.to(out.dtype.element_ty), mask=d < SIZE)


def decode_attention(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, table: torch.Tensor, lengths: torch.Tensor,
    *, scale: float, window: int = 0, softcap: float = 0.0, sinks: torch.Tensor | None = None, split: int = 512,
) -> torch.Tensor:  # fmt: skip
    """(rows, heads, size) of queries (rows, heads, size), in their dtype.

    `keys` and `values`: (slots, kv heads, positions, size) where `table` is int32 (rows,), each row's slot; or (pages,
    kv heads, page, size) where it is (rows, pages of a row). `lengths`: int32 (rows,), how many positions a row may
    see, the new one included; 0 gives zeros. `window` > 0: only the last that many. `softcap` > 0: scores are
    softcap * tanh(score / softcap). `sinks` (heads,): scores that draw weight and give nothing. `split`: positions of
    one program; at least all of them means one pass, no combining. Softmax and sums are float32.
    """
    rows, heads, size = query.shape
    kv_heads, page = keys.shape[1], keys.shape[2]
    pages = table.shape[1] if table.ndim == 2 else 1
    splits = triton.cdiv(page * pages, split)
    out = torch.empty_like(query, memory_format=torch.contiguous_format)
    kept = rows * heads * splits if splits > 1 else 1
    sums = torch.empty(kept, dtype=torch.float32, device=query.device)
    partial = torch.empty(kept * size, dtype=torch.float32, device=query.device)
    depth = max(_LEAST, triton.next_power_of_2(size))
    group = heads // kv_heads
    shape: dict[str, Any] = {"HEADS": heads, "SIZE": size, "D": depth, "SINKS": sinks is not None, "SPLITS": splits}
    _attend_part[(rows, kv_heads, splits)](
        out, partial, sums, query, keys, values, table, lengths, out if sinks is None else sinks,
        *query.stride()[:2], *keys.stride()[:3], *values.stride()[:3], *out.stride()[:2],
        pages, page, scale, softcap, split,
        GROUP=group, M=max(_LEAST, triton.next_power_of_2(group)),
        BLOCK=max(_LEAST, min(64, _STAGE // (depth * keys.element_size()))),
        WINDOW=window, CAPPED=softcap > 0, PAGED=table.ndim == 2, enable_fp_fusion=True, **shape,
    )  # fmt: skip
    if splits > 1:
        shape |= {"S": triton.next_power_of_2(splits), "enable_fp_fusion": True}
        _combine[(rows, heads)](out, partial, sums, out if sinks is None else sinks, *out.stride()[:2], **shape)
    return out
