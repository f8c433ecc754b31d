"""The measuring pass of `auto`: every matrix is read once, and what the codecs offer for it is noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.compress.hessian import Hessian
from deltakit.compress.numbers import matrix_of, stored_bytes
from deltakit.compress.offer import Offer, Study, offers
from deltakit.compress.plan.auto import Auto
from deltakit.compress.plan.bargains import bargains
from deltakit.compress.plan.hull import Ladder
from deltakit.compress.plan.kept import Kept
from deltakit.compress.plan.plan import Row
from deltakit.delta.expression import Delta, Entry
from deltakit.delta.file.container import pack_tensor
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.base import Float32
from deltakit.errors import RecipeError

__all__ = ["measure"]

_SPARSE = 0.25  # the share of changed elements under which exact changes may be small
_EMBEDDINGS = ("*embed*", "*wte.*", "*wpe.*")


def measure(
    delta: Delta,
    rows: Sequence[Row],
    autos: Mapping[str, Auto],
    hessians: Mapping[str, Hessian] | None = None,
    *,
    threads: int = 0,
    progress: Progress = silent,
) -> dict[str, Ladder]:
    """Ladders of the rows that `autos` names, in their order; a matrix that equals its base's has energy 0 and no
    offers. As many matrices are in memory as there are threads. Where some have moments, the others count as if their
    inputs were white: an embedding's are its rows in turn, those of any other are as large as is usual here."""
    wanted = [row for row in rows if row.name in autos]
    known = hessians or {}
    progress.start("measuring", sum(row.spec.nbytes for row in wanted))

    def work(row: Row) -> tuple[Ladder, float]:
        hessian = known.get(row.name)
        square = 0.0 if hessian is None else float(hessian.gram.diagonal().mean()) / max(1, hessian.rows)
        return _ladder(row, delta.entries[row.name], autos[row.name], hessian), square

    found, seen = {}, {}
    try:
        with one_thread():
            for row, (ladder, square) in pump(wanted, work, threads=threads):
                found[row.name], seen[row.name] = ladder, square
                progress.advance(row.spec.nbytes, row.name)
    finally:
        progress.stop()
    return _levelled(found, seen)


def _ladder(row: Row, entry: Entry, auto: Auto, hessian: Hessian | None) -> Ladder:
    values = matrix_of(row.name, entry)
    study = Study(row.spec, values, hessian)
    if not values.any():
        return Ladder(row.spec, (), 0.0)
    found = [offer for codec in auto.candidates for offer in offers(codec, study)] + _kept(entry, values)
    found += bargains(entry, study)
    if not found:
        raise RecipeError(f"tensor {row.name!r}: no codec offers anything for it", remedy="leave `codecs` of auto out")
    return Ladder(row.spec, tuple(found), study.energy, auto.weight(study))


def _kept(entry: Entry, values: Float32) -> list[Offer]:
    """A delta that is stored already (an archive's, a LoRA's) may stay as it is, and one that is zero at most places
    (a few steps of reinforcement learning) is packed, to see what it takes bit for bit."""
    stored = stored_bytes(entry)
    if stored is not None:
        return [Offer(Kept(), None, stored, 0.0)]
    if np.count_nonzero(values) > _SPARSE * values.size:
        return []
    _, blob = pack_tensor(replace(entry, spec=entry.shared_spec, added=None))
    return [Offer(Kept(), None, len(blob), 0.0)]


def _levelled(ladders: Mapping[str, Ladder], seen: Mapping[str, float]) -> dict[str, Ladder]:
    """Errors of weights made comparable with errors of outputs. `seen` is the mean square of an input, 0: unknown."""
    squares = [square for square in seen.values() if square]
    if not squares:
        return dict(ladders)
    usual = float(np.median(squares))

    def factor(name: str) -> float:
        is_embedding = any(fnmatchcase(name, pattern) for pattern in _EMBEDDINGS)
        return 1.0 if seen[name] else 1 / ladders[name].spec.rows if is_embedding else usual

    return {name: ladder.scaled(factor(name)) for name, ladder in ladders.items()}
