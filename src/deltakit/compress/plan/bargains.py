"""Offers that no codec makes: a merged LoRA's own factors."""

from __future__ import annotations

from collections.abc import Iterator

from deltakit.compress.codecs.lowrank import Lowrank
from deltakit.compress.fit.recognise import recognised
from deltakit.compress.offer import Offer, Study
from deltakit.delta.expression import Entry

__all__ = ["bargains"]


def bargains(entry: Entry, study: Study) -> Iterator[Offer]:
    """What may be had for a matrix beside what codecs offer; sizes are true."""
    found = recognised(entry, study.rows, study.spec.nbytes)
    if found is not None:
        off = study.error(study.rows - found.rows(0, found.spec.rows).reshape(study.rows.shape))
        yield Offer(Lowrank(rank=found.rank, dtype=str(found.bands[0][0])), None, found.nbytes, off)
