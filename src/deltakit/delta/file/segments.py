"""The tensors of a delta file that is being written: each a journaled segment, made by one process or by several.

OUT.partial-<plan>/files/000017           the blob of the 18th tensor
OUT.partial-<plan>/journal.jsonl          the leader's records, and those taken over from an earlier run
OUT.partial-<plan>/journal-<rank>.jsonl   each other process's
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deltakit.checkpoint import disk
from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.journal import Journal, Record
from deltakit.checkpoint.pump import Progress, pump
from deltakit.checkpoint.ranks import Ranks
from deltakit.checkpoint.staging import Staging
from deltakit.delta.expression import Entry
from deltakit.delta.file.container import Archive, pack_tensor
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec

__all__ = ["Segments", "taken_over"]

_BATCH, _SECONDS = 64 << 20, 2.0  # the journal is synced after so many bytes, or so much time


class Segments:
    """What is finished of a delta file. `pull` makes more of it; `entry` reads what is there.

    Every process of the crew calls `pull` with the same names; behind it all of them know, and may read, all that any
    of them made. The bytes depend neither on threads nor on the number of processes. What `remark` says of a tensor
    that was made (JSON-able; None: nothing) is journaled beside it, and `remarks` gives it back: also of those that an
    earlier run finished, or another process. The file holds nothing of it.
    """

    def __init__(
        self, specs: Mapping[str, TensorSpec], folder: Path, journal: Journal, done: Mapping[str, Record], crew: Ranks,
        *, topic: str = "", threads: int = 0, progress: Progress,
    ) -> None:  # fmt: skip
        self.specs, self.folder, self.crew = specs, folder, crew
        self.done, self.resumed = dict(done), len(done)
        self.threads, self._progress = threads, progress
        self.remark: Callable[[str], Any] | None = None
        self._journal, self._topic, self._turn = journal, topic, 0
        self._numbers = {n: i for i, n in enumerate(specs)}

    @property
    def nbytes(self) -> int:
        """Payload bytes that are finished."""
        return sum(r.length for r in self.done.values())

    @property
    def remarks(self) -> dict[str, Any]:
        """What was said of the tensors that are finished, where something was."""
        return {n: said for n, r in self.done.items() if (said := r.extra.get("remark")) is not None}

    def left(self, names: Iterable[str]) -> list[str]:
        """Those that are not finished."""
        return [n for n in names if n not in self.done]

    def pull(self, names: Iterable[str], make: Callable[[str], Entry]) -> None:
        """Make and journal the segments of the tensors that are not finished."""
        left = self.left(names)
        if not left:
            return
        mine = self.crew.share(left, {n: self.specs[n].nbytes for n in left})
        self.note(pump(mine, lambda n: self.write(n, make(n)), threads=self.threads))
        if self.crew.world > 1:
            self._exchange(mine)

    def write(self, name: str, entry: Entry) -> Record:
        """One segment, not journaled yet. May be called from several threads."""
        item, blob = pack_tensor(entry)
        file = f"{self._numbers[name]:06d}"
        path = self.folder / file
        fd = disk.create(path)  # the journal syncs it
        try:
            disk.set_size(fd, len(blob), path)
            disk.pwrite(fd, blob, 0, path)
        finally:
            disk.close(fd)
        said = None if self.remark is None else {"remark": self.remark(name)}
        return Record(name, file, 0, len(blob), checksum(blob), {"item": item, **(said or {})})

    def note(self, records: Iterator[tuple[Any, Record]]) -> None:
        """Journal records as they come, some at a time."""
        batch: list[Record] = []
        last = time.monotonic()
        for _, record in records:
            self.done[record.name] = record
            batch.append(record)
            self._progress.advance(self.specs[record.name].nbytes, record.name)
            if sum(r.length for r in batch) >= _BATCH or time.monotonic() - last > _SECONDS:
                self._journal.extend(batch)
                batch, last = [], time.monotonic()
        self._journal.extend(batch)

    def entry(self, name: str) -> Entry:
        """One finished tensor, as a reader of the file will see it."""
        record = self.done[name]
        path = self.folder / record.file
        blob = path.read_bytes()
        if len(blob) != record.length:
            raise CheckpointError(f"{path}: {len(blob)} bytes, the journal says {record.length}")
        index = {"tensors": {name: record.extra["item"]}}
        return Archive(path, memoryview(blob), index, {name: (0, len(blob))}, {}, {name: self.specs[name]}).entry(name)

    def _exchange(self, mine: Sequence[str]) -> None:
        """Behind this every process knows what all of them made."""
        topic, self._turn = f"{self._topic}/pull/{self._turn}", self._turn + 1
        parts = self.crew.gathered(topic, [asdict(self.done[n]) for n in mine])
        found = {r["name"]: Record(**r) for r in self.crew.told(f"{topic}/all", [r for p in parts for r in p])}
        for name in sorted(found.keys() - self.done.keys()):
            self._progress.advance(self.specs[name].nbytes, name)
        self.done |= found


def taken_over(staging: Staging, names: Iterable[str]) -> dict[str, Record]:
    """What earlier runs of this plan finished, in the journals of all their processes, verified. The other processes'
    records go into the leader's journal."""
    names = list(names)
    done = {n: r for n in names if (r := staging.journal.get(n)) is not None}
    found: dict[str, Record] = {}
    for path in (others := sorted(staging.root.glob("journal-*.jsonl"))):
        journal = Journal(path, staging.folder, staging.plan)
        try:
            found |= {n: r for n in names if n not in done and (r := journal.get(n)) is not None}
        finally:
            journal.close()
    staging.journal.extend(list(found.values()))
    for path in others:
        disk.remove(path)
    return done | found
