"""The delta file, format 1 (docs/format.md): a header, a compressed index, one blob of payloads per tensor, then files.

magic "DELTAKIT" | u32 version | u32 0 | u64 index bytes | u64 index bytes unpacked | 8 bytes blake2b of the index
index (zstd of canonical JSON) | tensor blobs, sorted by name, without gaps | sidecar blobs (zstd), sorted by name
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.expression import Delta, Entries, Entry, Lineage, Part
from deltakit.delta.file.index import AGAIN, MAX_INDEX, lay_out, parse_index, unframe
from deltakit.delta.terms import TERMS
from deltakit.delta.terms.base import Term
from deltakit.delta.terms.exact import Exact
from deltakit.errors import CheckpointError, DeltakitError
from deltakit.tensors import TensorSpec

__all__ = [
    "KIND",
    "MAGIC",
    "VERSION",
    "Archive",
    "is_delta",
    "open_archive",
    "open_delta",
    "pack_header",
    "pack_tensor",
]

MAGIC = b"DELTAKIT"
KIND = "delta"
VERSION = 1
_HEAD = struct.Struct("<8sIIQQ8s")
_LARGE = 1 << 20  # bytes of an index (six thousand tensors): from here on a quarter less of it costs a minute


@dataclass(frozen=True)
class Archive:
    """An open delta file: its index and where each blob lies. Blobs are checked when they are first used."""

    path: Path
    data: memoryview
    index: Mapping[str, Any]
    places: Mapping[str, tuple[int, int]]  # tensor name -> (start, stop) in the file
    files: Mapping[str, tuple[int, int]]  # sidecar name -> (start, stop)
    specs: Mapping[str, TensorSpec]

    def blob(self, name: str) -> memoryview:
        """The payload bytes of one tensor, verified."""
        start, stop = self.places[name]
        blob = self.data[start:stop]
        if checksum(blob) != self.index["tensors"][name]["c"]:
            raise CheckpointError(f"{self.path}: tensor {name!r} is damaged (checksum)", remedy=AGAIN)
        return blob

    def sidecar(self) -> Sidecar:
        """The files inside; each is read, and checked, when it is asked for."""
        return Sidecar(_Files(self))

    def file(self, name: str) -> bytes:
        """One of the files inside, verified and unpacked."""
        start, stop = self.files[name]
        _, size, digest = self.index["files"][name]
        if checksum(self.data[start:stop]) != digest:
            raise CheckpointError(f"{self.path}: the file {name!r} inside is damaged (checksum)", remedy=AGAIN)
        try:
            return unframe(self.data[start:stop], size)
        except CheckpointError as wrong:
            raise CheckpointError(f"{self.path}: the file {name!r} inside: {wrong.message}", remedy=AGAIN) from wrong

    def entry(self, name: str) -> Entry:
        """One tensor's terms."""
        item, spec = self.index["tensors"][name], self.specs[name]
        shared = int(item.get("h", spec.rows))
        blob, at = self.blob(name), 0
        parts = []
        for coef, kind, fields, size in item.get("p", ()):
            parts.append(
                Part(float(coef), self._term(name, kind, fields, blob[at : at + size], spec.with_rows(shared)))
            )
            at += size
        added = None
        if "a" in item:
            kind, fields, size = item["a"]
            added = self._term(name, kind, fields, blob[at : at + size], spec.with_rows(spec.rows - shared))
        return Entry(spec, shared, tuple(parts), added)

    def _term(self, name: str, kind: str, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Term:
        try:
            term: Term = TERMS.factory(kind).load(fields, payload, spec)  # type: ignore[attr-defined]
        except DeltakitError as wrong:
            raise type(wrong)(f"{self.path}: tensor {name!r}: {wrong.message}", remedy=wrong.remedy or AGAIN) from wrong
        except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as wrong:
            raise CheckpointError(
                f"{self.path}: tensor {name!r}: a {kind} term is malformed ({wrong!r})", remedy=AGAIN
            ) from wrong
        return term


class _Files(Mapping[str, bytes]):
    """The files inside an archive, by name."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def __getitem__(self, name: str) -> bytes:
        return self._archive.file(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._archive.files)

    def __len__(self) -> int:
        return len(self._archive.files)


def is_delta(path: Path) -> bool:
    """True for a file that begins as a delta file does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def open_archive(path: str | Path) -> Archive:
    """Read and check header and index; the blobs stay on disk."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such delta file", remedy="check the path")
    with path.open("rb") as file:
        size = path.stat().st_size
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
    try:
        index, start = _index(data)
        layout = lay_out(index, start)
    except CheckpointError as wrong:
        raise CheckpointError(f"{path}: {wrong.message}", remedy=wrong.remedy, details=wrong.details) from wrong
    _check_size(path, len(data), layout.size, {**layout.places, **layout.files})
    return Archive(path, data, index, layout.places, layout.files, layout.specs)


def open_delta(path: str | Path) -> Delta:
    """A delta file as a Delta; its terms are read when they are asked for. Bind it to its base for numbers."""
    archive = open_archive(path)
    made = archive.index
    line = made.get("lineage", {})
    lineage = Lineage(line.get("base", ""), line.get("tuned", ""), line.get("name", ""), line.get("note", {}))
    return Delta(Entries(archive.specs, archive.entry), tuple(made.get("missing", ())), lineage, archive.sidecar())


def pack_header(index: Mapping[str, Any]) -> bytes:
    """Header and compressed index, canonical: the same index gives the same bytes."""
    import zstandard

    text = json.dumps(index, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    packed = zstandard.ZstdCompressor(level=19 if len(text) < _LARGE else 9).compress(text)
    digest = hashlib.blake2b(packed, digest_size=8).digest()
    return _HEAD.pack(MAGIC, VERSION, 0, len(packed), len(text), digest) + packed


def pack_tensor(entry: Entry) -> tuple[dict[str, Any], bytes]:
    """The index item and the blob of one tensor. A part that changes nothing is left out."""
    item: dict[str, Any] = {"s": list(entry.spec.shape), "d": entry.spec.dtype}
    if entry.shared != entry.spec.rows:
        item["h"] = entry.shared
    blobs = []
    for part in entry.parts:
        term = solid(part.term)
        if isinstance(term, Exact) and term.is_zero:
            continue  # an unchanged tensor costs nothing
        fields, payload = term.save()
        item.setdefault("p", []).append([part.coef, term.kind, fields, len(payload)])
        blobs.append(payload)
    if entry.added is not None:
        term = solid(entry.added)
        fields, payload = term.save()
        item["a"] = [term.kind, fields, len(payload)]
        blobs.append(payload)
    blob = b"".join(blobs)
    item["c"] = checksum(blob)
    return item, blob


def solid(term: Term) -> Term:
    """The term as it can be stored: references become exact bits."""
    made = getattr(term, "solid", None)
    found: Term = made() if made is not None else term
    return found


def _index(data: memoryview) -> tuple[dict[str, Any], int]:
    """The parsed index and where it ends."""
    if len(data) < _HEAD.size or bytes(data[:8]) != MAGIC:
        raise CheckpointError(f"not a delta file ({len(data)} bytes)", remedy="make one with `deltakit extract`")
    _, version, zero, packed, size, digest = _HEAD.unpack(data[: _HEAD.size])
    if version != VERSION or zero:
        said = f"{version}.{zero}" if zero else str(version)
        raise CheckpointError(f"format {said}, this deltakit reads {VERSION}", remedy="update deltakit")
    stop = _HEAD.size + packed
    if size > MAX_INDEX or stop > len(data):
        raise CheckpointError("the index is cut short or too large", remedy=AGAIN)
    if hashlib.blake2b(data[_HEAD.size : stop], digest_size=8).digest() != digest:
        raise CheckpointError("the index is damaged (checksum)", remedy=AGAIN)
    return parse_index(unframe(data[_HEAD.size : stop], size)), stop


def _check_size(path: Path, size: int, want: int, places: Mapping[str, tuple[int, int]]) -> None:
    if size == want:
        return
    cut = next((n for n, (_, stop) in places.items() if stop > size), None)
    where = f"; the first part that is cut is {cut!r}" if cut else "; there are bytes behind its end"
    raise CheckpointError(f"{path}: {size} bytes, its index says {want}{where}", remedy=AGAIN)
