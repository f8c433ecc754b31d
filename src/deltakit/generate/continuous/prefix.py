"""What several prompts begin with (a template, few-shot examples, the same prompt again): found beforehand, computed
once, kept as long as someone needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Prefix", "Sequenced", "most_kept", "shared_prefixes"]

_SHORT = 16  # tokens by which a prefix is at least longer than the one it stands on
_WORTH = 64  # tokens saved below which another forward pass costs more

# (whose keys and values they are, the tokens, how many of them may be shared)
Sequenced: TypeAlias = tuple[str | None, Sequence[int], int]
_Coded: TypeAlias = NDArray[np.uint32]


@dataclass(eq=False)
class Prefix:
    """The first `length` tokens of every prompt in which it is named, all of one tenant: a delta changes keys and
    values. `above` is the next shorter one; `span` its keys and values by layer from above.length on, once computed;
    `users` counts prompts and longer prefixes that are still to come."""

    tenant: str | None
    tokens: tuple[int, ...]
    above: Prefix | None
    users: int = 0
    span: list[tuple[torch.Tensor, torch.Tensor]] | None = field(default=None, repr=False)

    @property
    def start(self) -> int:
        """Where the part begins that is not of the prefix above."""
        return len(self.above.tokens) if self.above else 0

    def chain(self) -> list[Prefix]:
        """From the shortest to this one."""
        found: list[Prefix] = []
        one: Prefix | None = self
        while one:
            found.append(one)
            one = one.above
        return found[::-1]

    def leave(self) -> None:
        """One user less; the last one drops what is kept."""
        one: Prefix | None = self
        while one:
            one.users -= 1
            if one.users:
                break
            one.span, one = None, one.above


def shared_prefixes(prompts: Sequence[Sequenced]) -> list[Prefix | None]:
    """The longest prefix worth sharing of each prompt, or None."""
    out: list[Prefix | None] = [None] * len(prompts)
    by_tenant: dict[str | None, list[int]] = {}
    for i, (tenant, _, _) in enumerate(prompts):
        by_tenant.setdefault(tenant, []).append(i)
    for tenant, own in by_tenant.items():
        coded = {i: np.asarray(prompts[i][1][: prompts[i][2]], dtype=">u4") for i in own}
        own.sort(key=lambda i: coded[i].tobytes())  # noqa: B023  # big-endian bytes sort as the tokens do
        open_groups: list[tuple[list[int], int, Prefix | None]] = [(own, 0, None)]
        while open_groups:
            group, known, above = open_groups.pop()
            first, last = coded[group[0]], coded[group[-1]]
            equal = _equal(first, last, known)  # and all between agree as far
            gain = equal - (len(above.tokens) if above else 0)
            if len(group) > 1 and gain >= _SHORT and gain * (len(group) - 1) >= _WORTH:
                if above:
                    above.users += 1
                above = Prefix(tenant, tuple(first[:equal].tolist()), above)
            for part in _split(group, coded, equal):
                if len(part) > 1 and len(coded[part[0]]) > equal:
                    open_groups.append((part, equal, above))
                else:
                    for i in part:
                        out[i] = above
    for found in out:
        if found:
            found.users += 1
    return out


def most_kept(prefixes: Sequence[Prefix | None], together: int) -> int:
    """Positions of prefixes that are kept at most at one time, where prompts are computed in this order, `together` of
    them at once."""
    first: dict[Prefix, int] = {}
    last: dict[Prefix, int] = {}
    for i, prefix in enumerate(prefixes):
        for one in prefix.chain() if prefix else ():
            first.setdefault(one, i)
            last[one] = i
    changes = [0] * (len(prefixes) + 1)
    for one, at in first.items():
        changes[max(0, at - together + 1)] += len(one.tokens) - one.start
        changes[last[one] + 1] -= len(one.tokens) - one.start
    return max(accumulate(changes))


def _equal(one: _Coded, other: _Coded, known: int) -> int:
    n = min(len(one), len(other))
    apart = np.flatnonzero(one[known:n] != other[known:n])
    return known + int(apart[0]) if len(apart) else n


def _split(group: list[int], coded: dict[int, _Coded], at: int) -> list[list[int]]:
    """A sorted group by the token at a position; those that end there come first, together."""
    parts: dict[int, list[int]] = {}
    for i in group:
        parts.setdefault(int(coded[i][at]) if len(coded[i]) > at else -1, []).append(i)
    return list(parts.values())
