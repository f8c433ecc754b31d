"""Shares out a number of bytes over matrices of different sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deltakit.errors import ResourceError

__all__ = ["allocate", "hand_on"]


def allocate(total: int, weights: Sequence[int], least: Sequence[int]) -> list[int]:
    """Bytes for each: in proportion to `weights`, but nobody under its `least`; what the small ones take beyond their
    share is taken from the others in proportion. Their sum is at most `total`."""
    if sum(least) > total:
        raise ResourceError(
            f"{total:,} bytes are too few for {len(weights)} matrices: the least is {sum(least):,}",
            remedy=f"allow {sum(least) - total:,} bytes more, or a smaller ratio",
        )
    raised: set[int] = set()
    while True:
        free = total - sum(least[i] for i in sorted(raised))
        weight = sum(w for i, w in enumerate(weights) if i not in raised)
        share = [least[i] if i in raised else free * w // max(1, weight) for i, w in enumerate(weights)]
        poor = {i for i, s in enumerate(share) if s < least[i]}
        if not poor:
            return share
        raised |= poor


def hand_on(budgets: Sequence[int], used: Callable[[int, int], int], spare: int = 0) -> list[int]:
    """Budgets that end near their sum: what matrix i leaves of its budget (and `spare`) goes to the next.

    used(i, budget) is what matrix i takes of a budget. Sizes go in steps of one rank, so without this every matrix
    would leave half a step unused.
    """
    out, carry = [], spare
    for i, budget in enumerate(budgets):
        out.append(budget + carry)
        carry = out[-1] - used(i, out[-1])
    return out
