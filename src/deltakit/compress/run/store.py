"""The Hessians of a whole model in a file: taken once from the base, then compressing is a pure map over tensors.

A safetensors file, so that others can read it: "h0", "h1", ... are upper triangles, row by row, of the sums of x xᵀ in
float32; tensors that share their inputs share one. The metadata says of which model and text, and which tensor has
which. Nothing of it depends on a fine-tune, so all fine-tunes of a base share one file.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.calibrate.sampling import Sampling, check_runnable, open_walker
from deltakit.checkpoint import disk
from deltakit.checkpoint.checksum import Checksum
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.header import Header, read_header
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.strict_json import parse_json
from deltakit.compress.hessian import Float64, Hessian
from deltakit.compress.run.device import SMALLER, room_on
from deltakit.compress.run.encode import Encoder
from deltakit.compress.run.hessians import LayerHessians
from deltakit.delta.file.segments import Segments
from deltakit.errors import CheckpointError, MismatchError
from deltakit.manifest import digest

__all__ = ["StoredHessians", "collect", "open_hessians"]

_KEY = "deltakit_hessians"
_ROWS = 512  # of a triangle in hand at once
_AGAIN = "remove it, and it is made again"
_OTHER = "name another file; it is made where there is none"


@dataclass(frozen=True)
class StoredHessians(Mapping[str, Hessian]):
    """An open file. A Hessian is unpacked, float64, each time it is asked for; nothing of it is kept."""

    path: Path
    header: Header
    data: memoryview
    said: Mapping[str, Any]

    @property
    def note(self) -> Mapping[str, Any]:
        """What decides the numbers, JSON-able."""
        return {"calibration": {**self.said["calibration"], "hessians": self.said["content"]}}

    @property
    def hessians(self) -> Mapping[str, Hessian]:
        return self

    def unseen(self, names: Iterable[str]) -> list[str]:
        """Those that are not in the file."""
        return [n for n in names if n not in self.said["tensors"]]

    def fill(self, encoder: Encoder, segments: Segments) -> None:
        """Every tensor by itself, those that no input came to without a Hessian."""
        segments.pull(encoder.delta.specs, lambda n: encoder.entry(n, self.get(n)))

    def __getitem__(self, name: str) -> Hessian:
        key, axis, rows = self.said["tensors"][name]
        located = self.header.tensors[key]
        raw = self.data[located.start : located.end]
        state = Checksum()
        state.update(raw)
        if state.text != self.said["checksums"][key]:
            raise CheckpointError(f"{self.path}: the Hessian of {name!r} is damaged (checksum)", remedy=_AGAIN)
        return Hessian(_square(np.frombuffer(raw, "<f4")), axis, rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self.said["tensors"])

    def __len__(self) -> int:
        return len(self.said["tensors"])


def open_hessians(path: Path, base: Checkpoint, sampling: Sampling | None) -> StoredHessians:
    """The file of a base, and of a text where one is asked for. MismatchError where it is of others, CheckpointError
    where it is damaged or no such file."""
    header = read_header(path)
    if _KEY not in header.metadata:
        raise CheckpointError(f"{path} holds no Hessians", remedy="name another file; it is made where there is none")
    said = parse_json(header.metadata[_KEY].encode(), f"{path} (metadata)")
    if said["of"] != fingerprint(base):
        raise MismatchError(f"{path}: these Hessians are of another model, not of {base.source}", remedy=_OTHER)
    if sampling is not None and said["calibration"] != sampling.described(sampling.batches(base.sidecar)):
        raise MismatchError(
            f"{path}: these Hessians are of another text, or of more or less of it",
            remedy=f"{_OTHER}, or leave --calibrate out to take it as it is",
            details=[f"{k}: {v}" for k, v in sorted(said["calibration"].items())],
        )
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return StoredHessians(path, header, data, said)


def collect(path: Path, base: Checkpoint, sampling: Sampling, device: str = "cpu", progress: Progress = silent) -> None:
    """Walk through the base on the text and write its Hessians; memory is one layer's. The file appears whole or not
    at all. Errors: those of `calibrated.Walk`, and ResourceError (disk)."""
    from deltakit.calibrate.walk import reader, walk

    check_runnable(base.sidecar, "calibration")
    batches = sampling.batches(base.sidecar)
    walker = open_walker(base.specs, base.sidecar, batches, device)
    said = {"of": fingerprint(base), "calibration": sampling.described(batches)}
    room = 4096 + sum(len(json.dumps(n)) + 320 for n in base.specs)
    progress.start("looking at the text", len(walker.stages), "layers")
    try:
        with _Writing(path, room) as writing, room_on(device, "calibrating the base", "", SMALLER):
            for layer, moments in walk(walker, reader(base)):
                writing.add(LayerHessians(moments, base.specs))
                progress.advance(1, layer.stage.name)
            writing.finish(said)
    finally:
        progress.stop()


class _Writing:
    """The file while it grows, under another name: data behind the room of a header, which is written at the end."""

    def __init__(self, path: Path, room: int) -> None:
        self._path, self._made = path, path.with_name(f"{path.name}.partial")
        self._room, self._at = room, 8 + room
        self._header: dict[str, Any] = {}
        self._tensors: dict[str, tuple[str, int, int]] = {}
        self._checksums: dict[str, str] = {}

    def __enter__(self) -> _Writing:
        disk.make_folder(self._path.parent)
        self._fd = disk.create(self._made)
        return self

    def __exit__(self, *error: object) -> None:
        disk.close(self._fd)
        if self._made.exists():
            disk.remove(self._made)

    def add(self, found: LayerHessians) -> None:
        """The Hessians of a layer, those that are shared once."""
        for name in found:
            leader = found.leader(name)
            if leader not in self._tensors:
                made = found[name]
                self._tensors[name] = (self._triangle(made), made.axis, made.rows)
            else:
                self._tensors[name] = self._tensors[leader]

    def finish(self, said: dict[str, Any]) -> None:
        """Header, then the name that it is known by."""
        content = digest([said, self._checksums])
        whole = {**said, "tensors": self._tensors, "checksums": self._checksums, "content": content}
        head = json.dumps({"__metadata__": {_KEY: json.dumps(whole, sort_keys=True)}, **self._header}).encode()
        if len(head) > self._room:
            raise CheckpointError(f"{self._path}: the header takes {len(head)} bytes, {self._room} were kept for it")
        disk.pwrite(self._fd, self._room.to_bytes(8, "little") + head.ljust(self._room), 0, self._made)
        disk.set_size(self._fd, self._at, self._made)
        disk.fsync(self._fd, self._made)
        disk.rename(self._made, self._path)
        disk.fsync_folder(self._path.parent)

    def _triangle(self, hessian: Hessian) -> str:
        """Write one; its key."""
        key, begin, size = f"h{len(self._header)}", self._at, len(hessian.gram)
        state = Checksum()
        for lo in range(0, size, _ROWS):
            rows = hessian.gram[lo : lo + _ROWS].astype("<f4")
            raw = b"".join(row[lo + i :].tobytes() for i, row in enumerate(rows))
            state.update(raw)
            disk.pwrite(self._fd, raw, self._at, self._made)
            self._at += len(raw)
        start = 8 + self._room
        offsets = [begin - start, self._at - start]
        self._header[key] = {"dtype": "F32", "shape": [size * (size + 1) // 2], "data_offsets": offsets}
        self._checksums[key] = state.text
        return key


def _square(flat: np.ndarray[Any, Any]) -> Float64:
    """The symmetric matrix of an upper triangle."""
    size = (math.isqrt(8 * len(flat) + 1) - 1) // 2
    made, at = np.empty((size, size), np.float64), 0
    for i in range(size):
        made[i, i:] = flat[at : at + size - i]
        at += size - i
    for lo in range(0, size, _ROWS):  # in blocks, since whole columns lie far apart
        hi = min(size, lo + _ROWS)
        made[lo:hi, :lo] = made[:lo, lo:hi].T
        block = np.triu(made[lo:hi, lo:hi])
        made[lo:hi, lo:hi] = block + np.triu(block, 1).T
    return made
