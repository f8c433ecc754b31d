"""Log-likelihood of given continuations: what contexts share is computed once, and no logit that is not wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from deltakit.generate.backend import Pair, Scored
from deltakit.generate.continuous.prefill import Span, prefill
from deltakit.generate.continuous.prefix import Prefix
from deltakit.generate.continuous.slots import SlotCache
from deltakit.generate.continuous.step import Steps
from deltakit.generate.decode import forward, left_padded
from deltakit.generate.sampling import not_finite
from deltakit.generate.voices import Names, Voices

__all__ = ["likelihood", "score", "score_slots"]


@torch.inference_mode()
def score(model: Any, pairs: Sequence[Pair], names: Names = ()) -> list[Scored]:
    """Per (context, continuation) pair of token ids, in one padded batch: the sum of log-probabilities of the
    continuation (natural log, float32 softmax, float64 sum) and whether greedy decoding would give it. Neither may be
    empty. The last token is never fed: what would follow it is not asked. `names` says whose a pair is in errors."""
    ids, mask = left_padded([[*context, *continuation[:-1]] for context, continuation in pairs], model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    keep = max(len(continuation) for _, continuation in pairs)
    logits = forward(model, ids, mask, positions, None, keep)
    out = []
    for row, (_, continuation) in enumerate(pairs):
        out.append(likelihood(logits[row, -len(continuation) :], continuation, names[row] if names else None))
    return out


@torch.inference_mode()
def score_slots(
    model: Any,
    pairs: Sequence[Pair],
    names: Names,
    voices: Voices,
    prefixes: Sequence[Prefix | None],
    chunk: int,
    kept: int,
) -> list[Scored]:
    """The same over slots, within `hooked`: at most `chunk` tokens and `kept` logits' rows a pass. Pair i is of tenant
    names[i]; `prefixes` are shorter than their contexts."""
    width = max(len(context) + len(continuation) - 1 for context, continuation in pairs)
    steps = Steps(model, voices, SlotCache.of(model, len(pairs), width))
    spans = [
        Span(slot, (*context, *continuation[:-1]), len(context) - 1, names[slot], prefixes[slot])
        for slot, (context, continuation) in enumerate(pairs)
    ]
    found: list[list[Scored]] = [[] for _ in pairs]
    seen = [0] * len(pairs)

    def take(i: int, logits: torch.Tensor) -> None:
        start, seen[i] = seen[i], seen[i] + len(logits)
        found[i].append(likelihood(logits, pairs[i][1][start : seen[i]], names[i]))

    prefill(steps, spans, chunk, kept, take)
    return [(sum(total for total, _ in parts), all(greedy for _, greedy in parts)) for parts in found]


def likelihood(logits: torch.Tensor, wanted: Sequence[int], tenant: str | None = None) -> Scored:
    """logits (tokens, vocabulary) before each wanted token. VerificationError where they are not finite; -inf is a
    token that cannot be."""
    ids = torch.tensor(list(wanted), device=logits.device)
    share = torch.log_softmax(logits.float(), -1)
    picked = share.gather(1, ids[:, None])[:, 0]
    total = float(picked.double().sum())
    if total != total:
        raise not_finite(tenant)
    return total, bool((share.argmax(-1) == ids).all())
