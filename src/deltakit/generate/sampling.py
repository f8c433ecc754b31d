"""The next token of every row: greedy, or drawn by inverting the cumulative distribution at the row's own number."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from deltakit import rng
from deltakit.generate.request import Request

__all__ = ["next_tokens", "uniform"]


def next_tokens(logits: torch.Tensor, requests: Sequence[Request], step: int) -> list[int]:
    """Token ids for `logits` (rows, vocabulary) at answer position `step`.

    Rows with temperature 0 take the largest logit (the first of equal ones). A drawn token depends on its own row's
    logits, seed and step alone: not on neighbours, batch size or device.
    """
    tokens: list[int] = logits.argmax(-1).tolist()
    for row, request in enumerate(requests):
        if request.temperature > 0.0:
            tokens[row] = _draw(logits[row], request, uniform(request.seed, step))
    return tokens


def uniform(seed: int, step: int) -> float:
    """A number in [0, 1): lane `step` of the stream of `seed`, on a grid of 2**-32."""
    return int(rng.lanes(rng.key(seed, "generate", "sample"), step, step + 1)[0]) / 2**32


def _draw(logits: torch.Tensor, request: Request, u: float) -> int:
    """Invert the cumulative distribution over tokens sorted by falling probability (float64)."""
    scaled = logits.double() / request.temperature
    ranked, order = torch.sort(scaled, descending=True, stable=True)
    ranked = ranked[: request.top_k or None]
    share = torch.softmax(ranked, 0)
    kept = int((share.cumsum(0) - share < request.top_p).sum())  # tokens before which less than top_p is covered
    total = share[:kept].cumsum(0)
    index = int(torch.searchsorted(total, u * total[-1], right=True))
    return int(order[min(index, kept - 1)])
