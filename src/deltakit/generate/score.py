"""Log-likelihood of given continuations: one forward pass, only the continuation's logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from deltakit.generate.decode import forward, left_padded

__all__ = ["score"]


@torch.inference_mode()
def score(model: Any, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
    """Per (context, continuation) pair of token ids, in one batch: the sum of log-probabilities of the continuation
    (natural log, float32 softmax, float64 sum) and whether greedy decoding would give it. Neither may be empty."""
    ids, mask = left_padded([[*context, *continuation] for context, continuation in pairs], model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    keep = max(len(continuation) for _, continuation in pairs) + 1
    logits = forward(model, ids, mask, positions, None, keep)
    out = []
    for row, (_, continuation) in enumerate(pairs):
        n = len(continuation)
        wanted = ids[row, -n:]
        share = torch.log_softmax(logits[row, -n - 1 : -1].float(), -1)
        picked = share.gather(1, wanted[:, None])[:, 0]
        out.append((float(picked.double().sum()), bool((share.argmax(-1) == wanted).all())))
    return out
