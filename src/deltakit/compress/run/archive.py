"""Compress: a delta's matrices through a codec, everything else exact, streamed into one archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.ranks import ALONE, Ranks
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.plan import Plan
from deltakit.compress.plan.planning import Planner, noted, planner
from deltakit.compress.plan.sizes import check_size
from deltakit.compress.run.encode import Encoder
from deltakit.compress.run.operands import Operands
from deltakit.compress.run.request import Request
from deltakit.compress.run.sight import Sight, look
from deltakit.delta.expression import Delta, Entry
from deltakit.delta.file.container import open_archive
from deltakit.delta.file.inspection import lossy_totals
from deltakit.delta.file.segments import Segments
from deltakit.delta.file.write import Fill, write_delta

__all__ = ["Compressed", "Job", "compress", "compressed", "plans_for", "prepare", "write_job"]

_LESS = 8  # bytes, where a file came out larger than was asked for


@dataclass(frozen=True)
class Compressed:
    """A written archive. `payload` counts the coded matrices alone; `model` and `covered` are the bytes that all
    tensors and the coded matrices have in the fine-tune; `kinds` says what each tensor is stored as; `error` is the
    squared error of the coded matrices over the energy of their deltas. `lossy` are the matrices that are not stored
    bit for bit, as `inspect` counts them: fewer than the coded ones where some of these are kept (empty: none).
    `data_free` names those that were coded without knowing their inputs, in a run that looked at inputs (else None)."""

    path: Path
    plan: Plan
    nbytes: int
    payload: int
    covered: int
    elements: int
    model: int
    resumed: int
    kinds: Mapping[str, str]
    error: float | None = None
    lossy: Mapping[str, Any] = field(default_factory=dict)
    data_free: tuple[str, ...] | None = None

    @property
    def ratio(self) -> float:
        """Bytes of the coded matrices in the fine-tune, over their payload here."""
        return self.covered / max(1, self.payload)

    @property
    def file_ratio(self) -> float:
        """Bytes of all tensors in the fine-tune, over the whole file here."""
        return self.model / self.nbytes

    @property
    def bits(self) -> float:
        """Bits per parameter of the coded matrices, everything counted."""
        return 8 * self.payload / max(1, self.elements)


@dataclass(frozen=True)
class Job:
    """A compression that is planned: `made` is the delta that is written, its entries made by the encoder."""

    operands: Operands
    request: Request
    sight: Sight
    plan: Plan
    encoder: Encoder
    made: Delta

    def entry(self, name: str) -> Entry:
        """One tensor as it is stored, for the inputs that are known beforehand."""
        return self.encoder.entry(name, self.sight.hessians.get(name))

    def fill(self, segments: Segments) -> None:
        """Make every segment that is not finished, in the order of the sight."""
        self.sight.fill(self.encoder, segments)


def compress(operands: Operands, request: Request, progress: Progress = silent, crew: Ranks = ALONE) -> Compressed:
    """Write the delta of `operands` to `request.out`, its matrices coded as the request says.

    A killed run resumes, and ends in the same bytes; several processes (`crew`) that call this alike write one file.
    Errors: RecipeError (codec, size), ResourceError (the size is too small; disk, memory), InputError (non-finite
    numbers; calibration text; output), NoEffectError (no change).
    """
    made, asked = write_job(prepare(operands, request, progress, crew), progress, crew), request.nbytes
    target = asked or 0
    while asked is not None and made.nbytes > asked:  # its index packed worse than was thought
        target -= made.nbytes - asked + _LESS
        again = replace(request, nbytes=target, overwrite=True)
        made = write_job(prepare(operands, again, progress, crew), progress, crew)
    return made


def prepare(
    operands: Operands,
    request: Request,
    progress: Progress = silent,
    crew: Ranks = ALONE,
    plans: Planner | None = None,
) -> Job:
    """Open what there is to look at, and plan (by `plans`, where it has looked at this delta already)."""
    delta, sight = operands.delta, look(operands, request, progress, crew)
    plans = plans or plans_for(operands, request, sight, progress)
    plan = plans.plan(request.ratio, request.nbytes)
    note = noted(delta, plan.codec).lineage.note
    made = replace(delta, lineage=replace(delta.lineage, note={**note, **sight.note}))
    return Job(operands, request, sight, plan, Encoder.of(delta, plan, request.device), made)


def write_job(job: Job, progress: Progress = silent, crew: Ranks = ALONE, fill: Fill | None = None) -> Compressed:
    """Write what is planned; `fill` makes the segments (None: as the job's sight does)."""
    operands, request, make = job.operands, job.request, fill or job.fill

    def noted_fill(segments: Segments) -> None:
        segments.remark = job.encoder.remark
        make(segments)
        job.encoder.recall(segments.remarks)

    written = write_delta(
        request.out, job.made,
        plan={"action": "compress", "mark": operands.mark, **job.plan.as_dict(), **job.sight.note},
        base=operands.base.sidecar, overwrite=request.overwrite, inputs=operands.inputs, threads=request.threads,
        progress=progress, crew=crew, fill=noted_fill,
    )  # fmt: skip
    return _summary(Path(request.out), job, written.resumed)


def compressed(delta: Delta, plan: Plan, device: str = "cpu") -> Delta:
    """The delta with its covered matrices coded as their rows say, each when it is asked for."""
    encoder = Encoder.of(delta, plan, device)
    return noted(delta, plan.codec).map(lambda name, entry: encoder.entry(name))


def plans_for(operands: Operands, request: Request, sight: Sight, progress: Progress = silent) -> Planner:
    """Plans of any size for what a request names. `auto` measures here."""
    choice, delta = parse_choice(request.codec), operands.delta
    check_size(choice, request.ratio, request.nbytes)
    if sight.note:  # the index must have room for what will be noted
        delta = replace(delta, lineage=replace(delta.lineage, note={**delta.lineage.note, **sight.note}))
    return planner(
        delta, choice, exactly=request.nbytes is not None, base=operands.base.sidecar, hessians=sight.hessians,
        threads=request.threads, progress=progress,
    )  # fmt: skip


def _summary(out: Path, job: Job, resumed: int) -> Compressed:
    """Counted from the file as it lies on disk."""
    archive, plan = open_archive(out), job.plan
    parts = {name: list(item.get("p", ())) for name, item in archive.index["tensors"].items()}
    coded = [row for row in plan.covered if parts[row.name]]
    return Compressed(
        path=out,
        plan=plan,
        nbytes=out.stat().st_size,
        payload=sum(p[-1] for row in coded for p in parts[row.name]),
        covered=sum(row.spec.nbytes for row in coded),
        elements=sum(row.spec.numel for row in coded),
        model=sum(spec.nbytes for spec in job.operands.delta.specs.values()),
        resumed=resumed,
        kinds={name: _kind(item) for name, item in archive.index["tensors"].items()},
        error=_relative(plan, job.encoder.losses),
        lossy=lossy_totals(archive.specs, archive.index["tensors"]),
        data_free=tuple(sorted(job.encoder.blind)) if job.sight.note else None,
    )


def _relative(plan: Plan, losses: Mapping[str, tuple[float, float]]) -> float | None:
    """The relative squared error of all covered matrices, summed in the order of names."""
    if any(row.name not in losses for row in plan.covered):
        return None
    energy = sum(losses[row.name][1] for row in plan.covered)
    return sum(losses[row.name][0] for row in plan.covered) / energy if energy else 0.0


def _kind(item: Mapping[str, Any]) -> str:
    """What a tensor is stored as: the kinds of its terms, added rows last."""
    kinds = [part[1] for part in item.get("p", ())] + ([item["a"][0]] if "a" in item else [])
    return "+".join(kinds) or "unchanged"
