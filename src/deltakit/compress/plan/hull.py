"""One budget over many matrices: every byte goes where it takes off most error.

Of a matrix's offers only those on the lower convex hull of (bytes, error) can be best for a price per byte. Steps along
all hulls are taken in the order of error per byte (the Lagrangian relaxation of the knapsack, exact but for the last
step), and what is left is spent on offers between, and on codecs that follow a budget.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from deltakit.compress.offer import Offer
from deltakit.errors import ResourceError
from deltakit.tensors import TensorSpec

__all__ = ["Ladder", "lower_hull", "share_out"]


@dataclass(frozen=True)
class Ladder:
    """What is offered for one matrix, the error of leaving its delta out (`energy`), and what its errors count."""

    spec: TensorSpec
    offers: tuple[Offer, ...]
    energy: float
    weight: float = 1.0

    @cached_property
    def hull(self) -> tuple[Offer, ...]:
        """The offers that are best at some price."""
        return lower_hull(self.offers)

    @property
    def least(self) -> int:
        """The fewest bytes on offer."""
        return min(offer.nbytes for offer in self.offers)

    def scaled(self, factor: float) -> Ladder:
        """All errors times `factor`: another unit."""
        offers = tuple(replace(offer, error=offer.error * factor) for offer in self.offers)
        return self if factor == 1.0 else Ladder(self.spec, offers, self.energy * factor, self.weight)

    def gain(self, old: Offer, new: Offer) -> float:
        """Error taken off per byte."""
        return self.weight * (old.error - new.error) / max(1, new.nbytes - old.nbytes)


def lower_hull(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """From the fewest bytes on: more bytes, less error, and less of it per byte with every step."""
    hull: list[Offer] = []
    for offer in sorted(offers, key=lambda o: (o.nbytes, o.error)):
        if hull and (offer.nbytes == hull[-1].nbytes or offer.error >= hull[-1].error):
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-2], offer):
            hull.pop()
        hull.append(offer)
    return tuple(hull)


def share_out(ladders: Sequence[Ladder], total: int) -> list[Offer]:
    """An offer for each, of at most `total` bytes in all. ResourceError, with the least that works, for too few."""
    least = sum(ladder.least for ladder in ladders)
    if least > total:
        raise ResourceError(
            f"{total:,} bytes are too few for {len(ladders)} matrices: the least is {least:,}",
            remedy=f"allow {least - total:,} bytes more, or a smaller ratio",
        )
    chosen = [ladder.hull[0] for ladder in ladders]
    left = _climb(ladders, chosen, total - least)
    left = _between(ladders, chosen, left)
    _stretch(ladders, chosen, left)
    return chosen


def _slope(old: Offer, new: Offer) -> float:
    return (old.error - new.error) / (new.nbytes - old.nbytes)


def _climb(ladders: Sequence[Ladder], chosen: list[Offer], left: int) -> int:
    """Steps along the hulls, the best per byte first; a hull whose next step does not fit is done. The bytes left."""
    heap: list[tuple[float, int, int]] = []

    def push(i: int, step: int) -> None:
        if step < len(ladders[i].hull):
            heapq.heappush(heap, (-ladders[i].gain(chosen[i], ladders[i].hull[step]), i, step))

    for i in range(len(ladders)):
        push(i, 1)
    while heap:
        _, i, step = heapq.heappop(heap)
        offer = ladders[i].hull[step]
        if offer.nbytes - chosen[i].nbytes <= left:
            left -= offer.nbytes - chosen[i].nbytes
            chosen[i] = offer
            push(i, step + 1)
    return left


def _between(ladders: Sequence[Ladder], chosen: list[Offer], left: int) -> int:
    """Any offer that fits and is better, the largest gain first, until nothing is. The bytes left."""
    while True:
        found = [
            (ladder.weight * (old.error - new.error), -i, new)
            for i, (ladder, old) in enumerate(zip(ladders, chosen, strict=True))
            if (new := min((o for o in ladder.offers if o.nbytes - old.nbytes <= left), key=lambda o: o.error)).error
            < old.error
        ]
        if not found:
            return left
        _, i, new = max(found, key=lambda f: f[:2])
        left -= new.nbytes - chosen[-i].nbytes
        chosen[-i] = new


def _stretch(ladders: Sequence[Ladder], chosen: list[Offer], left: int) -> None:
    """Codecs that follow a budget take part of their next step, the best per byte first."""
    nexts = {i: new for i in range(len(ladders)) if (new := _next(ladders[i], chosen[i])) is not None}
    for i in sorted(nexts, key=lambda i: (-ladders[i].gain(chosen[i], nexts[i]), i)):
        old, new = chosen[i], nexts[i]
        budget = min(new.nbytes, old.nbytes + left)
        nbytes = new.codec.nbytes(ladders[i].spec, budget)
        if old.nbytes < nbytes <= budget:
            error = old.error - (old.error - new.error) * (nbytes - old.nbytes) / (new.nbytes - old.nbytes)
            chosen[i] = replace(new, budget=budget, nbytes=nbytes, error=error)
            left -= nbytes - old.nbytes


def _next(ladder: Ladder, old: Offer) -> Offer | None:
    """The nearest larger offer of the same codec, where that follows a budget."""
    if old.budget is None or old.codec.fixed:
        return None
    larger = [o for o in ladder.offers if o.codec == old.codec and o.nbytes > old.nbytes and o.error < old.error]
    return min(larger, key=lambda o: o.nbytes, default=None)
