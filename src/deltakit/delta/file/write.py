"""Writing delta files: tensor by tensor into journaled segments that are joined at the commit.

A killed run, started again, takes over what is finished and ends in the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.checkpoint import disk
from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.journal import Record
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, pump, silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import Staging, check_apart, check_output
from deltakit.delta.expression import Delta, Lineage
from deltakit.delta.file.container import KIND, pack_header, pack_tensor

__all__ = ["WrittenDelta", "differing", "plan_delta", "write_delta", "write_sum"]

_BATCH, _SECONDS = 64 << 20, 2.0  # the journal is synced after so many bytes, or so much time
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
) -> WrittenDelta:
    """Write a delta to the file `out`; references become exact terms, everything else stays what it is.

    `plan` must say all that decides the bytes besides the lineage (codec, seed, ...): it names the staging folder that
    an interrupted run resumes from. `base` is the base's sidecar: only files that differ from it are stored. The bytes
    do not depend on `threads`. Errors: InputError (output in the way, input changed), ResourceError (disk).
    """
    out = Path(out)
    files = differing(delta.sidecar, base or Sidecar())
    paths = [p for c in inputs for p in c.inputs]
    full = {"plan": plan, "lineage": _lineage(delta.lineage), "files": {n: checksum(r) for n, r in files.files.items()}}
    with Staging(out, full, overwrite, inputs=paths) as staging:
        done = {n: r for n in delta.specs if (r := staging.journal.get(n)) is not None}
        resumed = len(done)
        _pull(delta, staging, done, threads, progress)
        for checkpoint in inputs:
            checkpoint.check_unchanged()
        size = _join(staging, _index(delta, done), done, files)
        staging.commit_file(_FILE)
    return WrittenDelta(out, size, sum(r.length for r in done.values()), len(done), resumed)


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


def _pull(delta: Delta, staging: Staging, done: dict[str, Record], threads: int, progress: Progress) -> None:
    """Make and journal the segment of every tensor that is not in `done`."""
    numbers = {n: i for i, n in enumerate(delta.specs)}
    progress.start("writing delta", sum(s.nbytes for s in delta.specs.values()))
    progress.advance(sum(delta.specs[n].nbytes for n in done))

    def work(name: str) -> Record:
        item, blob = pack_tensor(name, delta.entries[name])
        file = f"{numbers[name]:06d}"
        _write(staging.folder / file, blob)
        return Record(name, file, 0, len(blob), checksum(blob), {"item": item})

    try:
        _note(staging, done, pump([n for n in delta.specs if n not in done], work, threads=threads), delta, progress)
    finally:
        progress.stop()


def _note(
    staging: Staging, done: dict[str, Record], records: Iterator[tuple[str, Record]], delta: Delta, progress: Progress
) -> None:
    batch: list[Record] = []
    last = time.monotonic()
    for name, record in records:
        done[name] = record
        batch.append(record)
        progress.advance(delta.specs[name].nbytes, name)
        if sum(r.length for r in batch) >= _BATCH or time.monotonic() - last > _SECONDS:
            staging.journal.extend(batch)
            batch, last = [], time.monotonic()
    staging.journal.extend(batch)


def _write(path: Path, blob: bytes) -> None:
    """A segment; the journal syncs it."""
    fd = disk.create(path)
    try:
        disk.set_size(fd, len(blob), path)
        disk.pwrite(fd, blob, 0, path)
    finally:
        disk.close(fd)


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
