"""Many fine-tunes of one base, an archive each: the base is read once, and what enters its matrices is taken once.

All archives grow side by side: a stretch of the base's tensors is coded for one fine-tune after the other while it is
in memory, then the next stretch. Each archive is, byte for byte, what compressing its fine-tune alone would give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from deltakit.checkpoint import disk
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.ranks import ALONE, Ranks
from deltakit.checkpoint.staging import check_apart, resolved
from deltakit.compress.run.archive import Compressed, Job, prepare, write_job
from deltakit.compress.run.operands import open_operands
from deltakit.compress.run.request import Request
from deltakit.delta.file.segments import Segments
from deltakit.errors import RecipeError

__all__ = ["compress_fleet", "fleet_requests"]

_STRETCH = 512 << 20  # bytes of the base that are gone through at once
HESSIANS = "hessians.safetensors"


def fleet_requests(request: Request, tuned: Sequence[str]) -> list[Request]:
    """A request for each fine-tune: `request` with NAME.archive in the folder `request.out`, NAME as the fine-tune's
    folder or file is called. Calibration goes by the base's Hessians, in the same folder unless the request names a
    file: a walk through every fine-tune would read the base as often. RecipeError for names that meet."""
    names = [_name(t) for t in tuned]
    twice = sorted(n for n, count in Counter(names).items() if count > 1)
    if twice:
        raise RecipeError(
            f"several fine-tunes are called {twice[0]!r}, and so would their archives be",
            remedy="name each once; compress those that share a name into different folders",
        )
    folder = Path(request.out)
    kept = request.hessians or (folder / HESSIANS if request.sampling else None)
    return [
        replace(request, tuned=t, out=folder / f"{n}.archive", hessians=kept) for t, n in zip(tuned, names, strict=True)
    ]


def compress_fleet(
    request: Request, tuned: Sequence[str], progress: Progress = silent, crew: Ranks = ALONE
) -> dict[str, Compressed]:
    """Compress each of `tuned` into the folder `request.out`; by name. A killed run resumes. Errors: those of
    `archive.compress`; nothing is coded before all of them are planned."""
    jobs = []
    for one in fleet_requests(request, tuned):
        operands = open_operands(one.base, one.tuned, one.against)
        check_apart(resolved(one.out), [p.resolve() for p in operands.paths])
        disk.make_folder(Path(one.out).parent)
        jobs.append(prepare(operands, one, progress, crew))
    total = sum(s.nbytes for job in jobs for s in job.made.specs.values())
    made = _side_by_side(jobs, _Joint(progress, total), crew)
    return {Path(job.request.out).stem: found for job, found in zip(jobs, made, strict=True)}


def _side_by_side(jobs: Sequence[Job], progress: Progress, crew: Ranks) -> list[Compressed]:
    """Open the outputs one within the other, fill them all, and commit them from the last to the first."""
    made: list[Compressed] = []

    def down(opened: list[Segments]) -> None:
        if len(opened) == len(jobs):
            _fill(jobs, opened)
            return
        job = jobs[len(opened)]
        made.append(write_job(job, progress, crew, fill=lambda segments: down([*opened, segments])))

    down([])
    return made[::-1]


def _fill(jobs: Sequence[Job], opened: Sequence[Segments]) -> None:
    """Stretch by stretch, each for all fine-tunes."""
    for stretch in _stretches(jobs):
        for job, segments in zip(jobs, opened, strict=True):
            segments.pull([n for n in stretch if n in segments.specs], job.entry)


def _stretches(jobs: Sequence[Job]) -> Iterator[list[str]]:
    """The names of all tensors, in runs of so many bytes."""
    sizes = {n: s.nbytes for job in jobs for n, s in job.made.specs.items()}
    run: list[str] = []
    for name in sorted(sizes):
        if run and sum(sizes[n] for n in run) + sizes[name] > _STRETCH:
            yield run
            run = []
        run.append(name)
    yield run


def _name(tuned: str) -> str:
    path = Path(tuned)
    return path.stem if path.suffix in (".delta", ".archive", ".yaml", ".yml") else path.name


class _Joint:
    """One bar for several outputs that are written within each other."""

    def __init__(self, inner: Progress, total: int) -> None:
        self._inner, self._total, self._depth = inner, total, 0

    def start(self, what: str, total: int, unit: str = "B") -> None:
        """The first begins the bar."""
        if self._depth == 0:
            self._inner.start(what, self._total, unit)
        self._depth += 1

    def advance(self, n: int, note: str = "") -> None:
        """Pass on."""
        self._inner.advance(n, note)

    def stop(self) -> None:
        """The last ends it."""
        self._depth -= 1
        if self._depth == 0:
            self._inner.stop()
