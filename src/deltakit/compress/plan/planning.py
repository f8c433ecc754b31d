"""Making a plan: which tensors changed, what `auto` finds in them, what is left for them, who gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.compress.hessian import Hessian
from deltakit.compress.plan.auto import Auto
from deltakit.compress.plan.choice import Choice, Coding
from deltakit.compress.plan.forecast import Forecast
from deltakit.compress.plan.hull import Ladder
from deltakit.compress.plan.measure import measure
from deltakit.compress.plan.overhead import Overhead
from deltakit.compress.plan.plan import Plan, Row, plan_rows
from deltakit.compress.plan.sizes import check_reach, check_size, least_payload, size_rows
from deltakit.delta.expression import Delta, Entry, total
from deltakit.errors import NoEffectError, ResourceError
from deltakit.tensors import row_blocks

__all__ = ["Planner", "changed", "noted", "plan_compression", "planner"]


@dataclass(frozen=True)
class Planner:
    """Plans of one bound delta at any size. `ladders` are the offers for the matrices that `auto` chooses for: they are
    measured once."""

    delta: Delta
    choice: Choice
    rows: tuple[Row, ...]
    ladders: Mapping[str, Ladder] = field(default_factory=dict)
    base: Sidecar = field(default_factory=Sidecar)

    def plan(self, ratio: float | None = None, nbytes: int | None = None) -> Plan:
        """The plan at a size. ResourceError for one that cannot be had, with the least that can."""
        check_size(self.choice, ratio, nbytes)
        if nbytes is not None:
            return self._in_file(nbytes)
        if ratio is None:
            return Plan(self.choice.text, None, None, self.rows)
        if not self.ladders:
            check_reach(self.rows, ratio)
        total = sum(int(row.spec.nbytes / ratio) for row in self.rows if row.action == "codec")
        self._check_ratio(ratio, total)
        rows, forecasts = size_rows(self.rows, total, self.ladders, tight=False)
        return Plan(self.choice.text, ratio, None, rows, forecasts)

    def _check_ratio(self, ratio: float, total: int) -> None:
        """Some size must be left for every matrix, where any of them follows one."""
        least = least_payload(self.rows, self.ladders)
        if least <= total or all(coding.fixed for coding in self.choice.codings):
            return
        coded = [row.spec.nbytes for row in self.rows if row.action == "codec"]
        most = int(100 * sum(coded) / (least + len(coded))) / 100  # every matrix's share is rounded down
        raise ResourceError(
            f"a ratio of {ratio:g} leaves {total:,} bytes for {len(coded)} matrices: the least is {least:,}",
            remedy=f"ask for a ratio of {most:g}, or choose another codec",
        )

    def _in_file(self, nbytes: int) -> Plan:
        """A plan whose file is at most so large."""
        beside = Overhead.of(noted(self.delta, self.choice.text), self.rows, self.base)
        found = self._fit(beside, nbytes)
        if isinstance(found, Plan):
            return found
        rest, enough = found, found + least_payload(self.rows, self.ladders)
        while not isinstance(more := self._fit(beside, enough), Plan):  # sizes make the index a little longer
            enough = max(enough + 1, more + least_payload(self.rows, self.ladders))
        raise ResourceError(
            f"{nbytes:,} bytes are too few: {rest:,} go to exact tensors, index and files, and "
            f"{self.choice.text} needs {enough - rest:,} for the matrices",
            remedy=f"allow at least {enough:,} bytes",
        )

    def _fit(self, beside: Overhead, nbytes: int) -> Plan | int:
        """The plan for a file of so many bytes; where they are too few, what goes to all but the matrices."""
        least, rest = least_payload(self.rows, self.ladders), 0
        rows, forecasts = self.rows, dict[str, Forecast]()
        while (now := beside.nbytes(rows)) > rest:  # the index knows no sizes at first, and digits may become more
            rest = now
            if nbytes - rest < least:
                return rest
            rows, forecasts = size_rows(self.rows, nbytes - rest, self.ladders, tight=True)
        return Plan(self.choice.text, None, nbytes, rows, forecasts)


def planner(
    delta: Delta,
    choice: Choice,
    *,
    exactly: bool = False,
    base: Sidecar | None = None,
    hessians: Mapping[str, Hessian] | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> Planner:
    """Look at a bound delta. `exactly` reads as much as it takes to know which tensors changed; `auto` reads them all;
    else no weights are read."""
    if delta.lineage.base and delta.lineage.base == delta.lineage.tuned:
        _check_effect(delta)
    same = [n for n in delta.specs if delta.entries[n].parts and not changed(delta.entries[n])] if exactly else []
    rows = plan_rows(delta, choice, same)
    autos = {r.name: c for r in rows if r.action == "codec" and isinstance(c := choice.of(r.name), Auto)}
    if not autos:
        return Planner(delta, choice, rows, {}, base or Sidecar())
    found = measure(delta, rows, autos, hessians, threads=threads, progress=progress)
    same += [name for name, ladder in found.items() if not ladder.offers]
    ladders = {name: ladder for name, ladder in found.items() if ladder.offers}
    return Planner(delta, choice, plan_rows(delta, choice, same), ladders, base or Sidecar())


def plan_compression(
    delta: Delta,
    choice: Choice | Coding,
    *,
    ratio: float | None = None,
    nbytes: int | None = None,
    base: Sidecar | None = None,
    hessians: Mapping[str, Hessian] | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> Plan:
    """What `compress` would do with a bound delta, tensor by tensor. With `nbytes`, reads as much as it needs to know
    which tensors changed and what the exact ones take; `auto` reads every matrix; a ratio alone reads no weights. A
    codec by itself is a choice of it for all."""
    asked = choice if isinstance(choice, Choice) else Choice(choice)
    check_size(asked, ratio, nbytes)
    made = planner(
        delta, asked, exactly=nbytes is not None, base=base, hessians=hessians, threads=threads, progress=progress
    )
    return made.plan(ratio, nbytes)


def changed(entry: Entry) -> bool:
    """Whether any shared element differs from the base's; reads until the first that does."""
    spec = entry.shared_spec
    return any(total(entry.parts, lo, hi, spec.row_size).any() for lo, hi in row_blocks(spec))


def noted(delta: Delta, codec: str) -> Delta:
    """The delta with the codec, spelled, in its lineage, over what it said before."""
    note = {"codec": codec} | ({"of": dict(delta.lineage.note)} if delta.lineage.note else {})
    return replace(delta, lineage=replace(delta.lineage, note=note))


def _check_effect(delta: Delta) -> None:
    """Equal fingerprints may be chance: they sample. Equal numbers are not."""
    if not any(changed(entry) or entry.added is not None for entry in delta.entries.values()):
        raise NoEffectError("the fine-tune equals its base: there is no delta", remedy="name the fine-tuned model")
