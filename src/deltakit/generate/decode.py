"""Decode one batch: left-padded prompts, one token a step for every row, finished rows leave."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from deltakit.errors import VerificationError
from deltakit.generate.cache import growing_cache
from deltakit.generate.request import Request
from deltakit.generate.sampling import next_tokens
from deltakit.generate.stops import Stops

__all__ = ["decode", "forward", "left_padded"]

_COMPACT = 0.75  # share of rows still going below which the others are dropped: dropping copies the cache once


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
def decode(model: Any, requests: Sequence[Request], stops: Stops) -> list[tuple[list[int], str]]:
    """Answer tokens (EOS included) and reason, per request. A row's answer does not depend on its neighbours
    beyond float rounding. Raises VerificationError if logits are not finite."""
    answers: list[list[int]] = [[] for _ in requests]
    reasons = [""] * len(requests)
    ids, mask = left_padded([r.prompt for r in requests], model.device, extra=max(r.max_new_tokens for r in requests))
    width = ids.shape[1]
    first = (mask[:, :width].cumsum(1) - 1).clamp(min=0)
    batch = _Batch(list(range(len(requests))), mask, first[:, -1] + 1, growing_cache(model.config))
    logits = forward(model, ids, mask[:, :width], first, batch.cache)[:, -1]
    for step in range(mask.shape[1] - width):
        tokens = _checked(next_tokens(logits, [requests[i] for i in batch.held], step), logits)
        _append(tokens, batch.held, requests, stops, answers, reasons)
        going = [row for row, i in enumerate(batch.held) if not reasons[i]]
        if not going:
            break
        if len(going) <= _COMPACT * len(batch.held):
            batch.keep(going)
            tokens = [tokens[row] for row in going]
        column = torch.tensor(tokens, device=model.device)[:, None]
        seen = batch.mask[:, : width + step + 1]
        logits = forward(model, column, seen, batch.positions[:, None], batch.cache)[:, -1]
        batch.positions = batch.positions + 1
    return list(zip(answers, reasons, strict=True))


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
    stops: Stops,
    answers: list[list[int]],
    reasons: list[str],
) -> None:
    """Give every row that still goes its token, and see whether it ends there."""
    going = [(token, i) for token, i in zip(tokens, held, strict=True) if not reasons[i]]
    for token, i in going:
        answers[i].append(token)
    rows = [i for _, i in going]
    limits = [requests[i].max_new_tokens for i in rows]
    found = stops.reasons([answers[i] for i in rows], [requests[i].stop for i in rows], limits)
    for i, reason in zip(rows, found, strict=True):
        reasons[i] = reason


def _checked(tokens: list[int], logits: torch.Tensor) -> list[int]:
    if not bool(torch.isfinite(logits.amax(-1)).all()):
        raise VerificationError(
            "the model's logits are not finite", remedy="a weight or a scale is out of range; see `deltakit inspect`"
        )
    return tokens
