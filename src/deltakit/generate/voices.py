"""Whose model, words and endings each row of a batch has: one for all, or those of its tenant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltakit.errors import InputError
from deltakit.generate.stops import Stops, eos_ids

if TYPE_CHECKING:
    from deltakit.tenants import ResidentBase

__all__ = ["Voices", "voices_of"]

Names = Sequence[str | None]


@dataclass(frozen=True)
class Voices:
    """`stops` by tenant, None being the model itself; within `rows(names)` row i is computed for names[i]."""

    stops: Mapping[str | None, Stops]
    rows: Callable[[Names], AbstractContextManager[Any]] = lambda names: nullcontext()

    @classmethod
    def of(cls, stops: Stops | Voices) -> Voices:
        """One for all rows, unless they are told apart already."""
        return stops if isinstance(stops, Voices) else cls({None: stops})

    def reasons(
        self, names: Names, answers: Sequence[Sequence[int]], stops: Sequence[Sequence[str]], limits: Sequence[int]
    ) -> list[str]:
        """`Stops.reasons` of every row, by its own tokenizer and EOS."""
        out = [""] * len(answers)
        for name in dict.fromkeys(names):
            rows = [row for row, other in enumerate(names) if other == name]
            own = [[column[row] for row in rows] for column in (answers, stops, limits)]
            for row, reason in zip(rows, self.stops[name].reasons(*own), strict=True):  # type: ignore[arg-type]
                out[row] = reason
        return out


def voices_of(resident: ResidentBase | None, tokenizer: Any, eos: frozenset[int], names: Names) -> Voices:
    """The voices that these requests need. InputError for a tenant where there are none, or that is not attached."""
    made: dict[str | None, Stops] = {None: Stops(tokenizer, eos)}
    for name in dict.fromkeys(n for n in names if n is not None):
        if resident is None:
            raise InputError(f"no tenant {name!r}: one model is served alone", remedy="attach it to a ResidentBase")
        tenant = resident.tenant(name)
        made[name] = Stops(tenant.tokenizer, eos_ids(tenant.tokenizer, tenant.sidecar))
    return Voices(made) if resident is None else Voices(made, resident.rows)
