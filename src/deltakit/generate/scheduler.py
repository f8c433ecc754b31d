"""Which row runs when: a fixed order, longest first, rows of one tenant and equal prompts together; a row that ends
makes room for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from deltakit.generate.prefix import Prefix
from deltakit.generate.request import Request

__all__ = ["Row", "Scheduler", "ordered"]

_GRAIN = 64  # lengths that differ by less count as equal, so that tenants and equal prompts stay together
_SHARE = 8  # a slot in so many must be free before rows are let in: a pass over few tokens costs as one over many


@dataclass(eq=False)
class Row:
    """One request on its way: `tokens` of its answer so far, its slot (-1: none), what its prompt may share;
    `over` once it has ended."""

    index: int
    request: Request
    prefix: Prefix | None = None
    tokens: list[int] = field(default_factory=list)
    slot: int = -1
    over: bool = False


def ordered(lengths: Sequence[int], groups: Sequence[tuple[object, object]]) -> list[int]:
    """Indices by falling length in steps of 64, then by group (tenant, prompt) as each first comes, then as given."""
    tenants: dict[object, int] = {}
    prompts: dict[object, int] = {}
    places = [(tenants.setdefault(g[0], len(tenants)), prompts.setdefault(g, len(prompts))) for g in groups]
    return sorted(range(len(lengths)), key=lambda i: (-(lengths[i] // _GRAIN), places[i], i))


class Scheduler:
    """Rows that wait, in order, and slots that are free. `limit` bounds the slots; memory that runs out lowers it."""

    def __init__(self, rows: Iterable[Row], budget: int, limit: int) -> None:
        self._waiting = deque(rows)
        self._budget = budget
        self.limit = limit
        self.slots = self.positions = 0
        self._free: list[int] = []

    @property
    def waiting(self) -> int:
        """How many rows have no slot yet."""
        return len(self._waiting)

    def lay_out(self) -> tuple[int, int]:
        """Slots and positions of a new cache: as wide as the longest row, as many as the budget holds; all are free."""
        self.positions = max(row.request.length for row in self._waiting)
        self.slots = max(1, min(self._budget // self.positions, self.limit, len(self._waiting)))
        self._free = list(range(self.slots - 1, -1, -1))
        return self.slots, self.positions

    def admitted(self) -> list[Row]:
        """The next rows, each with a slot; none until so many slots are free that letting rows in pays."""
        free = len(self._free)
        if free < min(len(self._waiting), max(1, self.slots // _SHARE)):
            return []
        rows = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        for row in rows:
            row.slot = self._free.pop()
        return rows

    def release(self, row: Row) -> None:
        """The row's slot is free again."""
        self._free.append(row.slot)
        row.slot = -1

    def shrink(self, rows: Iterable[Row]) -> bool:
        """Half as many slots from now on, and these rows wait again, first of all. False if there was only one."""
        back = list(rows)
        for row in back:
            row.slot = -1
        self._waiting.extendleft(reversed(back))
        self.limit = self.slots // 2
        return self.limit > 0
