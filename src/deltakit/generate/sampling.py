"""The next token of every row: greedy, or drawn by inverting the cumulative distribution at the row's own number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from deltakit import rng
from deltakit.errors import VerificationError
from deltakit.generate.request import Request

__all__ = ["choose", "next_tokens", "not_finite", "uniform"]

_BLOCK = 64  # numbers of a stream that are made at once
_AT_ONCE = 1 << 24  # float64 logits that are drawn from at once


def choose(logits: torch.Tensor, requests: Sequence[Request], steps: int | Sequence[int]) -> torch.Tensor:
    """Token ids (rows,) int64 for `logits` (rows, vocabulary) at answer position `steps`, of all rows or of each.

    Rows with temperature 0 take the largest logit (the first of equal ones). A drawn token depends on its own row's
    logits, seed and position alone: not on neighbours, batch size or device. Raises VerificationError if the logits of
    a row are not finite (-inf is a token that cannot be).
    """
    largest, tokens = logits.max(-1)
    finite = torch.isfinite(largest)
    if not bool(finite.all()):
        row = int(finite.int().argmin())
        raise not_finite(requests[row].tenant)
    drawn = [row for row, request in enumerate(requests) if request.temperature > 0.0]
    for narrowed in (False, True):
        rows = [row for row in drawn if (requests[row].top_k > 0 or requests[row].top_p < 1.0) == narrowed]
        each = max(1, _AT_ONCE // logits.shape[1])
        for some in (rows[at : at + each] for at in range(0, len(rows), each)):
            index = torch.tensor(some, device=logits.device)
            asked = [requests[row] for row in some]
            at = [steps if isinstance(steps, int) else steps[row] for row in some]
            numbers = _column([uniform(r.seed, n) for r, n in zip(asked, at, strict=True)], logits)
            scaled = logits[index].double() / _column([r.temperature for r in asked], logits)
            tokens[index] = _narrowed(scaled, asked, numbers) if narrowed else _inverted(scaled.softmax(-1), numbers)
    return tokens


def not_finite(tenant: str | None) -> VerificationError:
    """The error of a model that computes NaN or infinity; `tenant` says which of several it is."""
    whose = "the model's" if tenant is None else f"tenant {tenant!r}: its"
    remedy = "a weight or a scale is out of range; see `deltakit inspect`"
    return VerificationError(f"{whose} logits are not finite", remedy=remedy)


def next_tokens(logits: torch.Tensor, requests: Sequence[Request], steps: int | Sequence[int]) -> list[int]:
    """`choose` as a list."""
    tokens: list[int] = choose(logits, requests, steps).tolist()
    return tokens


def uniform(seed: int, step: int) -> float:
    """A number in [0, 1): lane `step` of the stream of `seed`, on a grid of 2**-32."""
    return _numbers(seed, step // _BLOCK)[step % _BLOCK]


@lru_cache(4096)
def _numbers(seed: int, block: int) -> list[float]:
    lanes = rng.lanes(rng.key(seed, "generate", "sample"), block * _BLOCK, (block + 1) * _BLOCK)
    found: list[float] = (lanes / 2**32).tolist()
    return found


def _narrowed(scaled: torch.Tensor, requests: Sequence[Request], numbers: torch.Tensor) -> torch.Tensor:
    """Draw among the `top_k` most likely tokens, and of these among those before which less than `top_p` is covered."""
    ranked, order = torch.sort(scaled, descending=True, stable=True)
    width = ranked.shape[1]
    counts = torch.tensor([[r.top_k or width] for r in requests], device=scaled.device)
    ranked = ranked.masked_fill(torch.arange(width, device=scaled.device) >= counts, float("-inf"))
    share = ranked.softmax(-1)
    kept = share.cumsum(-1) - share < _column([r.top_p for r in requests], scaled)
    return order.gather(1, _inverted(share * kept, numbers)[:, None])[:, 0]


def _inverted(share: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Where the cumulative sum of shares (rows, tokens) first exceeds numbers (rows, 1) times their total."""
    total = share.cumsum(-1)
    index = torch.searchsorted(total, numbers * total[:, -1:], right=True)[:, 0]
    last = (share > 0).long().cumsum(-1).argmax(-1)  # of the tokens that can be: rounding may reach behind it
    return torch.minimum(index, last)


def _column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device)[:, None]
