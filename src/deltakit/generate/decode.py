"""Decode one batch: left-padded prompts, one token a step for every row, finished rows leave."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from deltakit.generate.cache import GrowingLayer, growing_cache
from deltakit.generate.request import Request
from deltakit.generate.sampling import next_tokens
from deltakit.generate.stops import Stops
from deltakit.generate.voices import Voices

__all__ = ["decode", "forward", "left_padded"]

_COMPACT = 0.75  # share of rows still going below which the others are dropped: dropping copies the cache once
_WORTH = 16  # shared first tokens below which another forward pass costs more than it saves


@dataclass
class _Batch:
    """Rows that are still held: their requests' indices, mask (rows, width of the longest), next positions, cache."""

    held: list[int]
    mask: torch.Tensor
    positions: torch.Tensor
    cache: Any

    def keep(self, rows: list[int]) -> None:
        """Drop all rows but these."""
        index = torch.tensor(rows, device=self.mask.device)
        self.held = [self.held[row] for row in rows]
        self.mask, self.positions = self.mask[index], self.positions[index]
        self.cache.batch_select_indices(index)


@torch.inference_mode()
def decode(model: Any, requests: Sequence[Request], stops: Stops | Voices) -> list[tuple[list[int], str]]:
    """Answer tokens (EOS included) and reason, per request. A row's answer does not depend on its neighbours
    beyond float rounding. Raises VerificationError if logits are not finite."""
    voices = Voices.of(stops)
    answers: list[list[int]] = [[] for _ in requests]
    reasons = [""] * len(requests)
    steps = max(r.max_new_tokens for r in requests)
    batch, logits = _prefill(model, requests, steps, voices)
    width = batch.mask.shape[1] - steps
    for step in range(steps):
        tokens = next_tokens(logits, [requests[i] for i in batch.held], step)
        _append(tokens, batch.held, requests, voices, answers, reasons)
        going = [row for row, i in enumerate(batch.held) if not reasons[i]]
        if not going:
            break
        if len(going) <= _COMPACT * len(batch.held):
            batch.keep(going)
            tokens = [tokens[row] for row in going]
        column = torch.tensor(tokens, device=model.device)[:, None]
        seen = batch.mask[:, : width + step + 1]
        with voices.rows([requests[i].tenant for i in batch.held]):
            logits = forward(model, column, seen, batch.positions[:, None], batch.cache)[:, -1]
        batch.positions = batch.positions + 1
    return list(zip(answers, reasons, strict=True))


def _prefill(model: Any, requests: Sequence[Request], steps: int, voices: Voices) -> tuple[_Batch, torch.Tensor]:
    """The batch after its prompts, and the logits (rows, vocabulary) of the first answer token.

    What all prompts begin with (a template, few-shot examples) is computed once and its keys and values copied, where
    all rows are of one tenant: keys and values are its own.
    """
    prompts, names = [r.prompt for r in requests], [r.tenant for r in requests]
    cache = growing_cache(model.config)
    alike = len(set(names)) == 1 and all(type(layer) is GrowingLayer for layer in cache.layers)
    shared = _shared(prompts) if alike else 0
    ids, mask = left_padded([prompt[shared:] for prompt in prompts], model.device, extra=steps)
    mask = torch.cat([mask.new_ones(len(prompts), shared), mask], 1)
    width = shared + ids.shape[1]
    positions = (mask[:, :width].cumsum(1) - 1).clamp(min=0)
    if shared:
        head = torch.tensor([prompts[0][:shared]], device=model.device)
        with voices.rows(names[:1]):
            forward(model, head, mask[:1, :shared], positions[:1, :shared], cache)
        cache.batch_repeat_interleave(len(prompts))
    with voices.rows(names):
        logits = forward(model, ids, mask[:, :width], positions[:, shared:], cache)[:, -1]
    return _Batch(list(range(len(prompts))), mask, positions[:, -1] + 1, cache), logits


def _shared(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many first tokens are worth sharing: equal in all prompts, and every prompt has one more."""
    low, high = min(prompts), max(prompts)  # in the order of tokens, so all others lie between
    most = min(len(low), len(high), min(map(len, prompts)) - 1)
    equal = next((i for i in range(most) if low[i] != high[i]), most)
    return equal if len(prompts) > 1 and equal >= _WORTH else 0


def forward(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any, keep: int = 1
) -> Any:
    """Logits (rows, keep, vocabulary) of the last `keep` positions. Rows without padding need no mask (quicker)."""
    known = inspect.signature(model.forward).parameters
    given = {
        "position_ids": positions,
        "logits_to_keep": keep,
        "past_key_values": cache,
        "use_cache": cache is not None,
    }
    given["attention_mask"] = None if bool(mask.all()) else mask
    out = model(input_ids=ids, **{name: value for name, value in given.items() if name in known})
    return out.logits[:, -keep:]


def left_padded(rows: Sequence[Sequence[int]], device: Any, extra: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (rows, longest), padded on the left with 0, and the mask (rows, longest + extra): 0 over padding, else 1."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.ones(len(rows), width + extra, dtype=torch.long, device=device)
    for row, tokens in enumerate(rows):
        mask[row, : width - len(tokens)] = 0
    return ids, mask


def _append(
    tokens: list[int],
    held: list[int],
    requests: Sequence[Request],
    voices: Voices,
    answers: list[list[int]],
    reasons: list[str],
) -> None:
    """Give every row that still goes its token, and see whether it ends there."""
    going = [(token, i) for token, i in zip(tokens, held, strict=True) if not reasons[i]]
    for token, i in going:
        answers[i].append(token)
    rows = [i for _, i in going]
    limits = [requests[i].max_new_tokens for i in rows]
    names, stops = [requests[i].tenant for i in rows], [requests[i].stop for i in rows]
    found = voices.reasons(names, [answers[i] for i in rows], stops, limits)
    for i, reason in zip(rows, found, strict=True):
        reasons[i] = reason
