"""Prompts into slots: shared beginnings once, long ones in chunks, many short ones packed into one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from deltakit.generate.continuous.hook import Piece
from deltakit.generate.continuous.prefix import Prefix
from deltakit.generate.continuous.step import Steps

__all__ = ["Span", "prefill"]


@dataclass(frozen=True)
class Span:
    """Tokens to be computed in `slot`, all of them from position 0; logits are wanted from position `wanted` on.
    `prefix` is what it may share, at most `wanted` long."""

    slot: int
    tokens: Sequence[int]
    wanted: int
    tenant: str | None
    prefix: Prefix | None


@dataclass(frozen=True)
class _Part:
    """Positions [start, len(tokens)) of one slot; `owner` is the index of its span, or -1."""

    slot: int
    tokens: Sequence[int]
    start: int
    wanted: int
    tenant: str | None
    owner: int


def prefill(
    steps: Steps, spans: Sequence[Span], chunk: int, kept: int, take: Callable[[int, torch.Tensor], None]
) -> None:
    """Compute all spans, at most `chunk` tokens and `kept` logits' rows a pass.

    `take(i, logits)` gets the logits (positions, vocabulary) of span i in order, in several calls where it was cut.
    """
    _share(steps, spans, chunk, kept)
    parts = []
    for i, span in enumerate(spans):
        start = 0
        for prefix in span.prefix.chain() if span.prefix else ():
            assert prefix.span is not None
            steps.cache.put(span.slot, prefix.start, prefix.span)
            start = len(prefix.tokens)
        parts.append(_Part(span.slot, span.tokens, start, span.wanted, span.tenant, i))
    _compute(steps, parts, chunk, kept, take)
    for span in spans:
        if span.prefix:
            span.prefix.leave()


def _share(steps: Steps, spans: Sequence[Span], chunk: int, kept: int) -> None:
    """Compute the prefixes that are not kept yet, the shortest first, each in the slot of one of its users."""
    missing: dict[Prefix, int] = {}
    for span in spans:
        for prefix in span.prefix.chain() if span.prefix else ():
            if prefix.span is None:
                missing.setdefault(prefix, span.slot)
    while missing:
        ready = {p: slot for p, slot in missing.items() if p.above is None or p.above not in missing}
        parts = []
        for prefix, slot in ready.items():
            for above in prefix.chain()[:-1]:
                assert above.span is not None
                steps.cache.put(slot, above.start, above.span)
            n = len(prefix.tokens)
            parts.append(_Part(slot, prefix.tokens, prefix.start, n, prefix.tenant, -1))
        _compute(steps, parts, chunk, kept, lambda i, logits: None)
        for prefix, slot in ready.items():
            prefix.span = steps.cache.span(slot, prefix.start, len(prefix.tokens))
        missing = {p: slot for p, slot in missing.items() if p not in ready}


def _compute(
    steps: Steps, parts: Sequence[_Part], chunk: int, kept: int, take: Callable[[int, torch.Tensor], None]
) -> None:
    for packed in _packed(parts, chunk, kept):
        wanted = [
            (Piece(part.slot, lo, part.tokens[lo:hi]), min(max(part.wanted, lo), hi) - lo) for part, lo, hi in packed
        ]
        found = steps.prompts(wanted, packed[0][0].tenant)
        for (part, _, _), logits in zip(packed, found, strict=True):
            if len(logits):
                take(part.owner, logits)


def _packed(parts: Sequence[_Part], chunk: int, kept: int) -> Iterator[list[tuple[_Part, int, int]]]:
    """Passes: parts of one tenant, (part, first position, last + 1), cut where tokens or logits would be too many."""
    for tenant in dict.fromkeys(part.tenant for part in parts):
        batch: list[tuple[_Part, int, int]] = []
        tokens = logits = 0
        for part in (p for p in parts if p.tenant == tenant):
            lo = part.start
            while lo < len(part.tokens):
                free = max(part.wanted - lo, 0) + kept - logits  # positions until the logits are too many
                hi = min(len(part.tokens), lo + chunk - tokens, lo + free)
                if hi > lo:
                    batch.append((part, lo, hi))
                    tokens += hi - lo
                    logits += hi - max(lo, min(part.wanted, hi))
                    lo = hi
                if tokens >= chunk or logits >= kept:
                    yield batch
                    batch, tokens, logits = [], 0, 0
        if batch:
            yield batch
