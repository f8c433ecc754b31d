"""Write a checkpoint: canonical bytes, range by range, atomic, resumable, whatever the source computes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit import manifest as manifests
from deltakit.checkpoint import disk
from deltakit.checkpoint.checksum import Checksum
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.job import SHARD_BYTES, Job, prepare
from deltakit.checkpoint.journal import Journal, Record
from deltakit.checkpoint.layout import INDEX_NAME, Layout, Placement
from deltakit.checkpoint.nonfinite import count_nonfinite
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, Shared, pump, silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import Staging, check_output, staging_root
from deltakit.errors import DeltakitError, MismatchError, NonFiniteError
from deltakit.tensors import TensorMap, row_blocks

__all__ = ["Written", "finish", "finished", "plan_checkpoint", "plan_job", "pull", "write_checkpoint", "write_job"]

_BATCH = 256 << 20  # bytes written between two syncs of the journal
_AHEAD = 16  # tensors that may be begun while the journal syncs; only their names and records are held


@dataclass(frozen=True)
class Written:
    """What was written: folder, file sizes (bytes), fingerprint, whole manifest, count of tensors resumed."""

    path: Path
    files: Mapping[str, int]
    fingerprint: str
    manifest: Mapping[str, Any]
    resumed: int

    @property
    def nbytes(self) -> int:
        """All weight files together."""
        return sum(self.files.values())


def plan_checkpoint(
    source: TensorMap,
    out: Path,
    *,
    sidecar: Sidecar | None = None,
    manifest: Mapping[str, Any] | None = None,
    max_shard_bytes: int = SHARD_BYTES,
    overwrite: bool = False,
    order: Sequence[str] | None = None,
    allow_nonfinite: bool = False,
    inputs: Sequence[Checkpoint] = (),
) -> dict[str, Any]:
    """The plan of `write_checkpoint` without the pull, JSON-able; raises what the writing would raise before it."""
    job = prepare(source, out, sidecar or Sidecar(), manifest or {}, max_shard_bytes, order, inputs, allow_nonfinite)
    return plan_job(job, overwrite=overwrite)


def plan_job(job: Job, *, overwrite: bool = False) -> dict[str, Any]:
    """`plan_checkpoint` of a prepared job."""
    check_output(job.out, overwrite)
    return {
        "output": str(job.out),
        "files": {**job.layout.sizes, **{name: len(raw) for name, raw in job.sidecar.files.items()}},
        "bytes": job.layout.nbytes + sum(map(len, job.sidecar.files.values())),
        "free": disk.require_space(job.out.parent, job.needed),
        "resumes": staging_root(job.out, job.plan).exists(),
        "tensors": {n: {"dtype": s.dtype, "shape": list(s.shape)} for n, s in sorted(job.source.specs.items())},
    }


def write_checkpoint(
    source: TensorMap,
    out: Path,
    *,
    sidecar: Sidecar,
    manifest: Mapping[str, Any],
    max_shard_bytes: int = SHARD_BYTES,
    overwrite: bool = False,
    order: Sequence[str] | None = None,
    threads: int = 0,
    allow_nonfinite: bool = False,
    inputs: Sequence[Checkpoint] = (),
    progress: Progress = silent,
) -> Written:
    """Pull every tensor of `source` in bounded ranges of rows and write the folder `out`: whole, or not at all.

    `manifest` must name all that decides the bytes (inputs by fingerprint, recipe, seed): together with the
    specs, the sidecar and the `inputs` it says which interrupted run may be resumed. `inputs` are the
    checkpoints that `source` reads: watched for changes, never written to. `order` is the order of pulling
    (default: the source's own, else by name); it changes no byte, nor do `threads` (0: one per core).
    Errors: InputError (output in the way, input changed, non-finite values), ResourceError (disk).
    """
    job = prepare(source, out, sidecar, manifest, max_shard_bytes, order, inputs, allow_nonfinite)
    return write_job(job, overwrite=overwrite, threads=threads, progress=progress)


def write_job(job: Job, *, overwrite: bool = False, threads: int = 0, progress: Progress = silent) -> Written:
    """`write_checkpoint` of a prepared job."""
    disk.require_space(job.out.parent, job.needed)
    with Staging(job.out, job.plan, overwrite, inputs=job.paths) as staging:
        done = finished(job, staging.journal)
        resumed = len(done)
        pull(job, staging.folder, staging.journal, done, threads, progress)
        return finish(job, staging, done, resumed)


def finish(job: Job, staging: Staging, done: Mapping[str, Record], resumed: int) -> Written:
    """Commit, once every tensor is in place: InputError for values that are not finite and for inputs that changed."""
    _refuse_nonfinite(job, done)
    for checkpoint in job.inputs:
        checkpoint.check_unchanged()
    whole = _complete(job, staging, done)
    staging.commit(whole)
    return Written(job.out, dict(job.layout.sizes), whole["output"]["fingerprint"], whole, resumed)


def finished(job: Job, journal: Journal) -> dict[str, Record]:
    """What an earlier run of this plan finished, verified."""
    done = {}
    for name, place in job.layout.places.items():
        record = journal.get(name)
        if record and (record.file, record.offset, record.length) == (place.file, place.offset, place.spec.nbytes):
            done[name] = record
    return done


def pull(job: Job, folder: Path, journal: Journal, done: dict[str, Record], threads: int, progress: Progress) -> None:
    """Write what is not in `done`, in order, into the files of `folder`, and add it there and to the journal."""
    total = sum(place.spec.nbytes for place in job.layout.places.values())
    shared, stop = Shared(progress), threading.Event()
    with _opened(job.layout, folder) as files:

        def write(name: str) -> Record:
            return _copy(job.source, name, job.layout.places[name], files, folder, shared, stop)

        progress.start("writing", total)
        try:
            progress.advance(sum(record.length for record in done.values()), "resumed")
            left = [name for name in job.order if name not in done]
            prefetch = getattr(job.source, "prefetch", None)
            with closing(pump(left, write, threads=threads, prefetch=prefetch, stop=stop, ahead=_AHEAD)) as records:
                _note(journal, done, records)
        finally:
            progress.stop()


def _note(journal: Journal, done: dict[str, Record], records: Iterator[tuple[str, Record]]) -> None:
    """Journal the records in batches; the counts of non-finite values go with them, so that a rerun knows."""
    batch: list[Record] = []
    try:
        for name, record in records:
            done[name] = record
            batch.append(record)
            if sum(r.length for r in batch) >= _BATCH:
                journal.extend(batch)
                batch = []
    except BaseException:
        with suppress(DeltakitError):  # whole tensors are worth keeping whatever went wrong; that comes first
            journal.extend(batch)
        raise
    journal.extend(batch)


@contextmanager
def _opened(layout: Layout, folder: Path) -> Iterator[Mapping[str, int]]:
    """Every weight file, made at its final size with its header; closed at the end."""
    with ExitStack() as stack:
        files = {}
        for file, header in layout.headers.items():
            path = folder / file
            files[file] = disk.create(path)
            stack.callback(disk.close, files[file])
            disk.set_size(files[file], layout.sizes[file], path)
            disk.pwrite(files[file], header, 0, path)
        disk.fsync_folder(folder)
        yield files


def _copy(
    source: TensorMap,
    name: str,
    place: Placement,
    files: Mapping[str, int],
    folder: Path,
    progress: Progress,
    stop: threading.Event,
) -> Record:
    """One tensor, range by range, to its place. MismatchError if the source breaks its spec."""
    spec, at, state, nan, infinite = place.spec, place.offset, Checksum(), 0, 0
    for lo, hi in row_blocks(spec):
        if stop.is_set():
            raise InterruptedError(f"stopped at tensor {name!r}")
        raw = memoryview(source.buffer(name, lo, hi)).cast("B")
        want = (hi - lo) * spec.row_size * spec.itemsize
        if raw.nbytes != want:
            raise MismatchError(f"tensor {name!r}: rows {lo}..{hi} gave {raw.nbytes} bytes, its spec says {want}")
        state.update(raw)
        counts = count_nonfinite(raw, spec.dtype)
        nan, infinite = nan + counts[0], infinite + counts[1]
        disk.pwrite(files[place.file], raw, at, folder / place.file)
        at += want
        progress.advance(want, name)
    extra = {"nan": nan, "inf": infinite} if nan or infinite else {}
    return Record(name, place.file, place.offset, spec.nbytes, state.text, extra)


def _refuse_nonfinite(job: Job, done: Mapping[str, Record]) -> None:
    bad = sorted((r for r in done.values() if r.extra), key=lambda r: (-sum(r.extra.values()), r.name))
    if job.allow_nonfinite or not bad:
        return
    places = job.layout.places
    details = [
        f"{r.name}: {r.extra['nan']} NaN and {r.extra['inf']} infinite of {places[r.name].spec.numel} values"
        f" ({places[r.name].spec.dtype})"
        for r in bad
    ]
    half = any(places[r.name].spec.dtype == "F16" and not r.extra["nan"] for r in bad)
    remedy = (
        "write bfloat16 or float32: float16 ends at 65504" if half else "look at the inputs with `deltakit inspect`"
    )
    problem = f"non-finite values in {len(bad)} of {len(done)} tensors to be written; nothing was written"
    raise NonFiniteError(problem, details=details, remedy=f"{remedy}; or allow non-finite values explicitly")


def _complete(job: Job, staging: Staging, done: Mapping[str, Record]) -> dict[str, Any]:
    """Write index and sidecar into the staging folder; the manifest with what came out."""
    extras = {**job.sidecar.files, **({INDEX_NAME: job.layout.index} if job.layout.index else {})}
    for name in sorted(extras):
        disk.write_file(staging.folder / name, extras[name])
    shards = {file: staging.folder / file for file in job.layout.sizes}
    output: dict[str, Any] = {
        "fingerprint": fingerprint(Checkpoint.of_files(str(job.out), shards)),
        "files": {**job.layout.sizes, **{name: len(raw) for name, raw in extras.items()}},
        "sidecar": {name: manifests.digest(raw) for name, raw in sorted(extras.items())},
        "tensors": {
            name: {"dtype": place.spec.dtype, "shape": list(place.spec.shape), "checksum": done[name].checksum}
            for name, place in job.layout.places.items()
        },
    }
    nonfinite = {r.name: dict(r.extra) for r in done.values() if r.extra}
    if nonfinite:
        output["nonfinite"] = nonfinite
    return {"schema_version": manifests.SCHEMA_VERSION, **job.manifest, "output": output}
