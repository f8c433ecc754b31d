"""Measurements of a merge by kernels: exact thresholds, the majority sign, angles. The numpy forms give the same.

An exact threshold takes one pass over the inputs, not two: a sample of blocks brackets it, then one pass counts what
lies below the bracket and every pattern within. Where the sample misled, bins of the whole come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.errors import NonFiniteError
from deltakit.merge.engine.program import BLOCK, Member, NoKernel, Program, Reader, Source, worth
from deltakit.merge.reduce.elected_mean import Majority, not_finite
from deltakit.merge.reduce.slerp import LANES, Arcs
from deltakit.sparsify.flow import Pull
from deltakit.sparsify.threshold import rank_of
from deltakit.sparsify.trim import Thresholds
from deltakit.tensors import TensorMap, TensorSpec, row_blocks

__all__ = ["factors", "majority", "measured", "reader", "threshold"]

_BIN_BITS = 15
_BINS = 1 << (31 - _BIN_BITS)
_SAMPLE = 1 << 20  # elements at least; a smaller tensor is binned whole
_WIDEST = 8  # bins of a bracket: their patterns are counted one by one
_DEVIATIONS = 8.0  # of a sampled rank: blocks are not independent draws

Counts = NDArray[np.int64]
Range = tuple[str, int, int]


@dataclass(frozen=True)
class _Pass:
    """Ranges of tensors to go over with kernels, each with the programs of its tensor."""

    specs: Mapping[str, TensorSpec]
    programs: Mapping[str, Program]
    threads: int
    progress: Progress

    @property
    def count(self) -> int:
        return sum(self.specs[n].numel for n in self.programs)

    def each(self, run: Callable[[Range, int, int, Any], Any], size: int = 1) -> list[Any]:
        """run((name, lo, hi), elements, first element, tables) of every range, in order; their results."""
        ranges = [(n, lo, hi) for n in self.programs for lo, hi in row_blocks(self.specs[n], 16 << 20)]

        def work(at: Range) -> Any:
            name, lo, hi = at
            tables, held = self.programs[name].over(lo, hi)
            row = self.specs[name].row_size
            found = run(at, (hi - lo) * row, lo * row, tables)
            del held
            return found

        results = []
        with closing(pump(ranges, work, threads=self.threads)) as done:
            for (name, lo, hi), found in done:
                results.append(found)
                self.progress.advance(size * (hi - lo) * self.specs[name].row_size, name)
        return results


def reader(base: TensorMap, name: str, progress: Progress = silent) -> Reader:
    """Reads the pulls of a tensor over a base; thresholds that are not known yet are measured."""
    return Reader(name, Source(base, name), lambda t, n: threshold(base, t, n, progress))


def threshold(base: TensorMap, thresholds: Thresholds, name: str, progress: Progress = silent) -> np.float32:
    """What a trim keeps of a tensor."""

    def find() -> np.float32:
        names = thresholds.names(name)
        try:
            return _find(base, [thresholds], names, 0 if thresholds.whole else 1, progress)[0]
        except NoKernel:
            return thresholds.find(names, progress)

    return thresholds.settle(name, find)


def measured(base: TensorMap, runs: Sequence[Callable[[Progress], None]]) -> tuple[Callable[[Progress], None], ...]:
    """The measuring passes of a flow, by kernels where one fits: the thresholds of several models in one pass."""
    if not worth({n: s for o in runs for n, s in _specs(o).items()}):
        return tuple(runs)
    owners = [getattr(run, "__self__", None) for run in runs]
    together = [o for o in owners if isinstance(o, Thresholds) and o.whole and o.flow.specs]
    made: list[Callable[[Progress], None]] = [partial(_settle, base, together)] if together else []
    for run, owner in zip(runs, owners, strict=True):
        if isinstance(owner, Majority):
            made.append(partial(_majority, base, owner))
        elif not isinstance(owner, Thresholds):
            made.append(run)
    return tuple(made)


def _specs(run: Callable[[Progress], None]) -> Mapping[str, TensorSpec]:
    """The tensors that a measuring pass goes over, where it is one of those known."""
    owner = getattr(run, "__self__", None)
    if isinstance(owner, Majority):
        return owner.flows[0].specs
    return owner.flow.specs if isinstance(owner, Thresholds) else {}


def _settle(base: TensorMap, found: Sequence[Thresholds], progress: Progress) -> None:
    """Thresholds of whole models, in one pass if each can be measured by itself."""
    try:
        values = _find(base, found, found[0].names(""), 0, progress)
    except NoKernel:
        values = []
    for one, value in zip(found, values, strict=False):
        one.settle("", partial(_known, value))
    for one in found[len(values) :]:
        one.measure(progress)


def _known(value: np.float32) -> np.float32:
    return value


def _majority(base: TensorMap, owner: Majority, progress: Progress) -> None:
    if owner.whole:
        majority(base, owner, "", progress)


def _programs(base: TensorMap, pulls: Sequence[Pull], names: Sequence[str], progress: Progress) -> dict[str, Program]:
    found = {}
    for name in names:
        read = reader(base, name, progress)
        members: tuple[Member, ...] = tuple(read.member(pull) for pull in pulls)
        found[name] = Program(read.base, members)
    return found


def _find(
    base: TensorMap, wanted: Sequence[Thresholds], names: Sequence[str], threads: int, progress: Progress
) -> list[np.float32]:
    """The thresholds of several deltas over the same tensors."""
    programs = _programs(base, [t.flow.pull for t in wanted], names, progress)
    if any(p.block != BLOCK for p in programs.values()):
        raise NoKernel("a threshold of ranked rows")
    run = _Pass(wanted[0].flow.specs, programs, threads, progress)
    ranks = [rank_of(t.density, run.count) for t in wanted]
    progress.start("threshold", 2 * run.count, "elements")
    try:
        stride = max(1, run.count // (64 * _SAMPLE), min(8, run.count // _SAMPLE))
        found = _select(run, ranks, stride)
        return found if found is not None else _select(run, ranks, 1) or []
    finally:
        progress.stop()


def _select(run: _Pass, ranks: Sequence[int], stride: int) -> list[np.float32] | None:
    """The magnitude of each rank (1-based; 0 gives 0); None where the sample's bracket missed one."""
    bins = _bins(run, len(ranks), stride)
    brackets = [
        _bracket(found, rank / max(1, run.count), rank, stride) for found, rank in zip(bins, ranks, strict=True)
    ]
    width = max((high - low for low, high in brackets), default=1)
    if width > _WIDEST:
        return None
    below, table = _around(run, [low for low, _ in brackets], width << _BIN_BITS)
    found = []
    for j, (low, _) in enumerate(brackets):
        upto = below[j] + np.cumsum(table[j])
        if ranks[j] > 0 and not below[j] < ranks[j] <= upto[-1]:
            return None
        bits = (low << _BIN_BITS) + int(np.searchsorted(upto, ranks[j]))
        found.append(np.uint32(bits if ranks[j] > 0 else 0).view(np.float32))
    return found


def _bracket(bins: Counts, share: float, rank: int, stride: int) -> tuple[int, int]:
    """The bins [low, high) that hold a rank: one where all were counted, some around it where a sample was."""
    upto = np.cumsum(bins)
    sampled = int(upto[-1])
    if stride == 1:
        low = int(np.searchsorted(upto, max(1, rank)))
        return min(low, _BINS - 1), min(low, _BINS - 1) + 1
    spread = _DEVIATIONS * math.sqrt(sampled * share * (1 - share)) + 64
    low = int(np.searchsorted(upto, max(1, share * sampled - spread)))
    high = int(np.searchsorted(upto, min(sampled, share * sampled + spread)))
    return low, min(high, _BINS - 1) + 1


def _bins(run: _Pass, members: int, stride: int) -> Counts:
    from deltakit.merge.kernels.measure import count_bins

    def count(at: Range, elements: int, start: int, tables: Any) -> Counts:
        found = np.zeros((members, _BINS), np.int64)
        if not count_bins(found, elements, start, members, tables, stride):
            raise _not_finite(at[0])
        return found

    total = np.zeros((members, _BINS), np.int64)
    for found in run.each(count):
        total += found
    return total


def _around(run: _Pass, lows: Sequence[int], width: int) -> tuple[Counts, Counts]:
    """For each member how many magnitudes lie below its first bin, and how often each pattern from there occurs."""
    from deltakit.merge.kernels.measure import count_bracket

    starts, members = np.array([low << _BIN_BITS for low in lows], np.uint32), len(lows)
    below, free = np.zeros(members, np.int64), list[Counts]()

    def count(at: Range, elements: int, start: int, tables: Any) -> Counts:
        table = free.pop() if free else np.zeros((members, width), np.int64)  # one for each thread
        under = np.zeros(members, np.int64)
        sound = count_bracket(under, table, starts, width, elements, start, members, tables)
        free.append(table)
        if not sound:
            raise _not_finite(at[0])
        return under

    for under in run.each(count):
        below += under
    return below, sum(free, np.zeros((members, width), np.int64))


def majority(base: TensorMap, owner: Majority, name: str, progress: Progress = silent) -> int:
    """The sign that most elements elected, where it holds for a tensor: -1, 0 or 1."""

    return owner.settle(name, lambda: _votes(base, owner, owner.names(name), progress))


def _votes(base: TensorMap, owner: Majority, names: Sequence[str], progress: Progress) -> int:
    programs, others = dict[str, Program](), list[str]()
    for name in names:
        try:
            programs |= _programs(base, [f.pull for f in owner.flows], [name], progress)
        except NoKernel:
            others.append(name)
    from deltakit.merge.kernels.combine import count_votes

    def count(at: Range, elements: int, start: int, tables: Any) -> int:
        votes, sound = count_votes(elements, start, programs[at[0]].block, len(owner.flows), tables)
        if not sound:
            raise not_finite(at[0])
        return int(votes)

    run = _Pass(owner.flows[0].specs, programs, 0 if owner.whole else 1, progress)
    progress.start("majority sign", run.count, "elements")
    try:
        votes: int = sum(run.each(count))
    finally:
        progress.stop()
    return votes + (owner.count(others, progress) if others else 0)


def factors(base: TensorMap, arcs: Arcs, name: str) -> tuple[float, float]:
    """What slerp multiplies a tensor of the base and its delta with. NoKernel where the delta is no plain one."""
    read = reader(base, name)
    read.check_base(arcs.base)
    run = _Pass(arcs.flow.specs, {name: Program(read.base, (read.member(arcs.flow.pull),))}, 1, silent)

    def products() -> NDArray[np.float64]:
        from deltakit.merge.kernels.measure import add_products

        total = np.zeros((3, LANES))
        name_rows = row_blocks(run.specs[name])
        for lo, hi in name_rows:
            lanes = np.zeros((3, LANES))
            tables, held = run.programs[name].over(lo, hi)
            add_products(lanes, (hi - lo) * run.specs[name].row_size, tables)
            del held
            total += lanes
        return total

    return arcs.settle(name, products)


def _not_finite(name: str) -> NonFiniteError:
    return NonFiniteError(f"tensor {name!r}: the delta holds values that are not finite", remedy="check both models")
