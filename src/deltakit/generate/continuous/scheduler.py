"""Which row runs when: a fixed order, longest first, rows of one tenant and equal prompts together; a row that ends
makes room for the next, and one that outgrows its slot goes on in a wider one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from deltakit.generate.continuous.prefix import Prefix, most_kept
from deltakit.generate.request import Request

__all__ = ["Row", "Scheduler", "ordered"]

_GRAIN = 64  # lengths that differ by less count as equal, so that tenants and equal prompts stay together
_ROOM = 256  # new tokens that a slot has room for at first where slots of full length would be fewer
_WORTH = 0.75  # of full length, above which narrower slots gain too little
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

    @property
    def length(self) -> int:
        """Prompt and answer so far, in tokens."""
        return len(self.request.prompt) + len(self.tokens)


def ordered(lengths: Sequence[int], groups: Sequence[tuple[object, object]]) -> list[int]:
    """Indices by falling length in steps of 64, then by group (tenant, prompt) as each first comes, then as given."""
    tenants: dict[object, int] = {}
    prompts: dict[object, int] = {}
    places = [(tenants.setdefault(g[0], len(tenants)), prompts.setdefault(g, len(prompts))) for g in groups]
    return sorted(range(len(lengths)), key=lambda i: (-(lengths[i] // _GRAIN), places[i], i))


class Scheduler:
    """Rows that wait, in order, and slots that are free. `limit` bounds the slots; memory that runs out lowers it.

    `budget` bounds the positions of a cache and of the prefixes kept beside it. Few answers are as long as they may be:
    where it does not hold `limit` rows of full length, slots are narrower, and a row that fills its own waits for the
    next cache, whose slots have twice the room.
    """

    def __init__(self, rows: Iterable[Row], budget: int, limit: int) -> None:
        self._waiting = deque(rows)
        self._later: list[Row] = []
        self._room = _ROOM
        self._budget = budget
        self.limit = limit
        self.slots = self.positions = 0
        self._free: list[int] = []

    @property
    def waiting(self) -> int:
        """How many rows have no slot yet, and need none wider than this cache's."""
        return len(self._waiting)

    @property
    def left(self) -> int:
        """How many rows have no slot."""
        return len(self._waiting) + len(self._later)

    def lay_out(self) -> tuple[int, int]:
        """Slots and positions of a new cache for all rows that are left; all are free."""
        self._waiting.extendleft(reversed(self._later))
        self._later = []
        self.positions = max(row.request.length for row in self._waiting)
        most = min(self.limit, len(self._waiting))
        if self._budget // self.positions < most:
            narrow = max(min(row.length + self._room, row.request.length) for row in self._waiting)
            narrow = max(narrow, self._budget // most)
            if narrow <= _WORTH * self.positions:
                self.positions = narrow
                self._room *= 2
        slots = min(self._budget // self.positions, most)
        kept = most_kept([row.prefix for row in self._waiting], slots)
        self.slots = max(1, min(slots, (self._budget - kept) // self.positions))
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

    def put_off(self, row: Row) -> None:
        """The row has outgrown its slot, where it is over: it waits for the next cache."""
        row.over = True
        self._later.append(Row(row.index, row.request, None, row.tokens))

    def shrink(self, rows: Iterable[Row]) -> bool:
        """Half as many slots from now on, and these rows wait again, first of all. False if there was only one."""
        back = list(rows)
        for row in back:
            row.slot = -1
        self._waiting.extendleft(reversed(back))
        self.limit = self.slots // 2
        return self.limit > 0
