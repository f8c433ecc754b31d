"""Writing delta files: tensor by tensor into journaled segments that are joined at the commit.

A killed run, started again, takes over what is finished and ends in the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from deltakit.checkpoint import disk
from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.journal import Journal, Record
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.ranks import ALONE, Ranks
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import Staging, check_apart, check_output, resolved, staging_root
from deltakit.delta.expression import Delta, Lineage
from deltakit.delta.file.container import KIND, pack_header
from deltakit.delta.file.segments import Segments, taken_over
from deltakit.errors import MismatchError
from deltakit.manifest import digest

__all__ = ["Fill", "WrittenDelta", "differing", "plan_delta", "write_delta", "write_sum"]

Fill: TypeAlias = Callable[[Segments], None]  # makes every segment that is not finished
_FILE = "delta"
_SLACK = 1 << 20


@dataclass(frozen=True)
class WrittenDelta:
    """A written delta file: its size, the payload bytes within, how many tensors an earlier run had finished."""

    path: Path
    nbytes: int
    payload: int
    tensors: int
    resumed: int


def differing(files: Sidecar, base: Sidecar) -> Sidecar:
    """The cleaned files of a fine-tune that its base does not have, or has otherwise."""
    cleaned, _ = files.cleaned()
    same, _ = base.cleaned()
    return Sidecar({n: raw for n, raw in sorted(cleaned.files.items()) if same.files.get(n) != raw})


def plan_delta(out: Path, delta: Delta, *, overwrite: bool = False, inputs: Sequence[Path] = ()) -> dict[str, Any]:
    """What `write_delta` would do, JSON-able: raises what it would raise before it reads weights."""
    check_apart(Path(out).resolve(), [Path(p).resolve() for p in inputs])
    check_output(Path(out).resolve(), overwrite)
    tensors = {n: {"shape": list(s.shape), "dtype": s.dtype, "bytes": s.nbytes} for n, s in delta.specs.items()}
    most = sum(s.nbytes for s in delta.specs.values()) + _SLACK
    return {
        "output": str(out),
        "at_most_bytes": most,
        "free": disk.require_space(Path(out).resolve().parent, 0),
        "missing": list(delta.missing),
        "tensors": tensors,
    }


def write_delta(
    out: Path,
    delta: Delta,
    *,
    plan: Mapping[str, Any],
    base: Sidecar | None = None,
    overwrite: bool = False,
    inputs: Sequence[Checkpoint] = (),
    threads: int = 0,
    progress: Progress = silent,
    crew: Ranks = ALONE,
    fill: Fill | None = None,
) -> WrittenDelta:
    """Write a delta to the file `out`; references become exact terms, everything else stays what it is.

    `plan` must say all that decides the bytes besides the lineage (codec, seed, ...): it names the staging folder that
    an interrupted run resumes from. `base` is the base's sidecar: only files that differ from it are stored. `fill`
    makes the segments in an order of its own (None: each tensor as the delta gives it). The bytes do not depend on
    `threads`, nor on how many processes (`crew`) call this alike. Errors: InputError (output in the way, input
    changed), ResourceError (disk; the other processes are gone), MismatchError (the processes disagree).
    """
    files = differing(delta.sidecar, base or Sidecar())
    full = {"plan": plan, "lineage": _lineage(delta.lineage), "files": {n: checksum(r) for n, r in files.files.items()}}
    task = _Task(
        Path(out), delta, full, files, fill or _as_given(delta), crew, threads, progress if crew.leads else silent
    )
    _agree(task)
    return _lead(task, overwrite, inputs) if crew.leads else _follow(task)


@dataclass(frozen=True)
class _Task:
    """What all processes that write one file hold alike."""

    out: Path
    delta: Delta
    plan: Mapping[str, Any]
    files: Sidecar
    fill: Fill
    crew: Ranks
    threads: int
    progress: Progress

    @property
    def topic(self) -> str:
        return digest(self.plan)

    def segments(self, folder: Path, journal: Journal, done: Mapping[str, Record]) -> Segments:
        """What is finished, open for more."""
        return Segments(
            self.delta.specs, folder, journal, done, self.crew,
            topic=self.topic, threads=self.threads, progress=self.progress,
        )  # fmt: skip

    def run(self, segments: Segments) -> None:
        """Fill what is left."""
        self.progress.start("writing delta", sum(s.nbytes for s in self.delta.specs.values()))
        try:
            self.progress.advance(sum(self.delta.specs[n].nbytes for n in segments.done))
            self.fill(segments)
        finally:
            self.progress.stop()


def _as_given(delta: Delta) -> Fill:
    return lambda segments: segments.pull(delta.specs, delta.entries.__getitem__)


def _agree(task: _Task) -> None:
    crew = task.crew
    if crew.world > 1 and crew.told(f"{resolved(task.out)}/plan", task.topic) != task.topic:
        raise MismatchError(
            f"process {crew.rank} plans another output than process 0",
            remedy="give all processes the same command, the same files and the same libraries",
        )


def _lead(task: _Task, overwrite: bool, inputs: Sequence[Checkpoint]) -> WrittenDelta:
    crew, several = task.crew, task.crew.world > 1
    with Staging(task.out, task.plan, overwrite, inputs=[p for c in inputs for p in c.inputs]) as staging:
        done = taken_over(staging, task.delta.specs)
        if several:
            crew.told(f"{task.topic}/done", [asdict(r) for r in done.values()])
        segments = task.segments(staging.folder, staging.journal, done)
        task.run(segments)
        for checkpoint in inputs:
            checkpoint.check_unchanged()
        if several:  # nobody may be reading segments when they are joined
            crew.gathered(f"{task.topic}/filled", None)
        size = _join(staging, _index(task.delta, segments.done), segments.done, task.files)
        staging.commit_file(_FILE)
    made = WrittenDelta(task.out, size, segments.nbytes, len(segments.done), segments.resumed)
    if several:
        crew.told(f"{task.topic}/written", [made.nbytes, made.payload, made.tensors, made.resumed])
        crew.gathered(f"{task.topic}/bye", None)
    return made


def _follow(task: _Task) -> WrittenDelta:
    done = {r["name"]: Record(**r) for r in task.crew.told(f"{task.topic}/done")}
    root = staging_root(resolved(task.out), task.plan)
    journal = Journal(root / f"journal-{task.crew.rank}.jsonl", root / "files", task.topic)
    try:
        task.run(task.segments(root / "files", journal, done))
    finally:
        journal.close()
    task.crew.gathered(f"{task.topic}/filled", None)
    made = WrittenDelta(task.out, *task.crew.told(f"{task.topic}/written"))
    task.crew.gathered(f"{task.topic}/bye", None)
    return made


def write_sum(
    out: Path, parts: Sequence[Mapping[str, Any]], lineage: Lineage, *, overwrite: bool = False
) -> WrittenDelta:
    """Write an expression over other files: kilobytes.

    Each part is {"coef", "of" (path relative to `out`'s folder, or a hub id), "tuned" (fingerprint)}.
    """
    items = [dict(p) for p in parts]
    index = {"kind": KIND, "lineage": _lineage(lineage), "missing": [], "sum": items, "tensors": {}}
    with Staging(Path(out), index, overwrite) as staging:
        head = pack_header(index)
        disk.write_file(staging.folder / _FILE, head)
        staging.commit_file(_FILE)
    return WrittenDelta(Path(out), len(head), 0, 0, 0)


def _index(delta: Delta, done: Mapping[str, Record]) -> dict[str, Any]:
    items = {n: done[n].extra["item"] for n in delta.specs}
    return {"kind": KIND, "lineage": _lineage(delta.lineage), "missing": list(delta.missing), "tensors": items}


def _lineage(lineage: Lineage) -> dict[str, Any]:
    fields = {"base": lineage.base, "tuned": lineage.tuned, "name": lineage.name, "note": dict(lineage.note)}
    return {k: v for k, v in fields.items() if v}


def _join(staging: Staging, index: dict[str, Any], done: Mapping[str, Record], files: Sidecar) -> int:
    """Header, segments in the order of their names, files: the whole delta file. Its size."""
    import zstandard

    packed = {n: zstandard.ZstdCompressor(level=19).compress(files.files[n]) for n in sorted(files.files)}
    index["files"] = {n: [len(p), len(files.files[n]), checksum(p)] for n, p in packed.items()}
    path, at = staging.folder / _FILE, 0
    segments = [done[n].file for n in sorted(done)]
    disk.require_space(staging.folder, sum(r.length for r in done.values()) + _SLACK)
    fd = disk.create(path)
    try:
        disk.set_size(fd, 0, path)
        for chunk in _chunks(pack_header(index), [staging.folder / s for s in segments], list(packed.values())):
            disk.pwrite(fd, chunk, at, path)
            at += len(chunk)
    finally:
        disk.close(fd)
    for segment in segments:
        disk.remove(staging.folder / segment)
    return at


def _chunks(head: bytes, segments: Sequence[Path], tail: Sequence[bytes]) -> Iterator[bytes]:
    yield head
    for segment in segments:
        with segment.open("rb") as file:
            while chunk := file.read(8 << 20):
                yield chunk
    yield from tail
