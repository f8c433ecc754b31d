"""Several processes at one output, as `torchrun` and `accelerate launch` start them: who am I, what is my share.

Torch is imported only where there is more than one process.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from deltakit.errors import RecipeError, ResourceError

__all__ = ["ALONE", "Ranks", "ranks"]

_PATIENCE = timedelta(days=2)  # a share may take hours; a launcher kills everybody when one of them dies


@dataclass(frozen=True)
class Ranks:
    """Process `rank` of `world`. Rank 0 leads: it plans, commits and speaks."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """True for the one process that commits and prints."""
        return self.rank == 0

    def share(self, names: Sequence[str], sizes: Mapping[str, int]) -> tuple[str, ...]:
        """This process's part of `names`, in their order: a run of neighbours, cut so that bytes are even."""
        total, at, mine = sum(sizes[n] for n in names), 0, list[str]()
        for name in names:
            middle = at + sizes[name] / 2
            if min(self.world - 1, int(middle * self.world / max(1, total))) == self.rank:
                mine.append(name)
            at += sizes[name]
        return tuple(mine)

    def told(self, topic: str, value: Any = None) -> Any:
        """What the leader says of a topic, everywhere; the others' own value is not looked at. JSON only."""
        if self.leads:
            self._say(topic, value)
        return value if self.leads else self._hear(topic)

    def gathered(self, topic: str, value: Any) -> list[Any]:
        """Every process's value in the order of ranks, for the leader; the others wait for nobody and get none."""
        self._say(f"{topic}/{self.rank}", value)
        return [self._hear(f"{topic}/{r}") for r in range(self.world)] if self.leads else []

    def _say(self, topic: str, value: Any) -> None:
        _store(self.world).set(topic, json.dumps(value).encode())

    def _hear(self, topic: str) -> Any:
        try:
            return json.loads(_store(self.world).get(topic))
        except RuntimeError as error:
            raise ResourceError(
                f"process {self.rank} of {self.world} lost the others: {error}",
                remedy="look at the first error above; run the same command again to go on where it stopped",
            ) from None


@functools.cache
def _store(world: int) -> Any:
    """The key-value store that the launcher's processes share; it is asked for only where there are several."""
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://"))
    store.set_timeout(_PATIENCE)
    return store


ALONE = Ranks()


def ranks(environment: Mapping[str, str] = os.environ) -> Ranks:
    """This process's place by RANK and WORLD_SIZE; alone where they are not set. RecipeError for nonsense."""
    try:
        found = Ranks(int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1")))
    except ValueError:
        found = Ranks(-1)
    if not 0 <= found.rank < found.world:
        given = f"RANK={environment.get('RANK')} WORLD_SIZE={environment.get('WORLD_SIZE')}"
        raise RecipeError(f"{given} is no place among processes", remedy="start with torchrun, or unset both")
    return found
