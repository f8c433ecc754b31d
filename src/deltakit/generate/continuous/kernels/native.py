"""Decode attention on the CPU in one compiled loop: every row reads exactly its own positions, and nothing is padded.

float32 only. Sums run in another order than in `attention.attend`, with which it agrees to rounding.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from deltakit.delta.coding.kernels.compiled import compiled
from deltakit.generate.continuous.slots import SlotCache

__all__ = ["attend_native"]

_compiled = partial(compiled, fast=("reassoc", "contract", "arcp", "nsz"))  # NaN and infinity stay what they are

_ROWS = 4  # of a thread at least


def attend_native(
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
    """As `attention.attend`, for float32 on the CPU; on as many threads as torch uses, with the same bits."""
    rows, heads, _, size = query.shape
    out = torch.empty(rows, 1, heads, size)
    drawn = np.empty(0, np.float32) if sinks is None else sinks.detach().float().numpy()
    own = [x.numpy() for x in (query[:, :, 0].contiguous(), slots, lengths, out[:, 0])]
    keys, values = cache.keys[layer].numpy(), cache.values[layer].numpy()

    def run(start: int, stop: int) -> None:
        queries, at, ends, made = (x[start:stop] for x in own)
        _attend(queries, keys, values, at, ends, np.float32(scale), window, np.float32(softcap), drawn, made)

    threads = min(torch.get_num_threads(), rows // _ROWS)
    if threads < 2:
        run(0, rows)
    else:
        cuts = [rows * i // threads for i in range(threads + 1)]
        list(_pool(torch.get_num_threads()).map(run, cuts[:-1], cuts[1:]))
    return out


@lru_cache(1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "attention")


@_compiled
def _attend(
    query: Any, keys: Any, values: Any, slots: Any, lengths: Any, scale: Any, window: int, softcap: Any, sinks: Any,
    out: Any,
) -> None:  # fmt: skip
    rows, heads, size = query.shape
    group = heads // keys.shape[1]
    scores = np.empty(keys.shape[2], np.float32)
    powers = np.empty(keys.shape[2], np.int32)
    mixed = np.empty(size, np.float32)
    for row in range(rows):
        slot, stop = slots[row], lengths[row]
        start = max(0, stop - window) if window > 0 else 0
        n = stop - start
        for head in range(heads):
            own_keys, own_values = keys[slot, head // group, start:stop], values[slot, head // group, start:stop]
            _scores(query[row, head], own_keys, n, scale, softcap, scores)
            top = scores[0]
            for j in range(1, n):
                top = scores[j] if scores[j] > top else top
            if len(sinks):
                top = max(top, sinks[head])
            total = _exponentials(scores, powers, n, top)
            if len(sinks):
                total += np.exp(sinks[head] - top)
            _mix(scores, own_values, n, mixed)
            for i in range(size):
                out[row, head, i] = mixed[i] / total


@_compiled
def _scores(query: Any, keys: Any, n: int, scale: Any, softcap: Any, scores: Any) -> None:
    """scale * q k, four positions at a time, then capped."""
    size, whole = len(query), n // 4 * 4
    for j in range(0, whole, 4):
        a = b = c = d = np.float32(0)
        for i in range(size):
            x = query[i]
            a += x * keys[j, i]
            b += x * keys[j + 1, i]
            c += x * keys[j + 2, i]
            d += x * keys[j + 3, i]
        scores[j], scores[j + 1], scores[j + 2], scores[j + 3] = a * scale, b * scale, c * scale, d * scale
    for j in range(whole, n):
        a = np.float32(0)
        for i in range(size):
            a += query[i] * keys[j, i]
        scores[j] = a * scale
    if softcap > 0:
        for j in range(n):
            scores[j] = softcap * np.tanh(scores[j] / softcap)


@_compiled
def _exponentials(scores: Any, powers: Any, n: int, top: Any) -> Any:
    """scores = exp(scores - top), and their sum: 2^k times a polynomial of the rest (Cephes), a loop of
    plain arithmetic that compiles to vectors."""
    for j in range(n):
        x = scores[j] - top
        x = np.float32(-87.0) if x < np.float32(-87.0) else x  # written so that NaN stays NaN
        k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
        r = x - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
        p = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
        p = p * r + np.float32(8.3334519073e-3)
        p = p * r + np.float32(4.1665795894e-2)
        p = p * r + np.float32(1.6666665459e-1)
        p = p * r + np.float32(5.0000001201e-1)
        scores[j] = p * r * r + r + np.float32(1.0)
        powers[j] = (np.int32(k) + np.int32(127)) << 23
    total = np.float32(0)
    factors = powers.view(np.float32)
    for j in range(n):
        scores[j] *= factors[j]
        total += scores[j]
    return total


@_compiled
def _mix(weights: Any, values: Any, n: int, mixed: Any) -> None:
    """The weighted sum of values (n, size), four positions at a time."""
    size, whole = len(mixed), n // 4 * 4
    mixed[:] = 0
    for j in range(0, whole, 4):
        a, b, c, d = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        for i in range(size):
            mixed[i] += a * values[j, i] + b * values[j + 1, i] + c * values[j + 2, i] + d * values[j + 3, i]
    for j in range(whole, n):
        for i in range(size):
            mixed[i] += weights[j] * values[j, i]
