"""The delta file, format 1 (docs/format.md): a header, a compressed index, one blob of payloads per tensor, then files.

magic "DELTAKIT" | u32 version | u32 0 | u64 index bytes | u64 index bytes unpacked | 8 bytes blake2b of the index
index (zstd of canonical JSON) | tensor blobs, sorted by name, without gaps | sidecar blobs (zstd), sorted by name
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.expression import Delta, Entries, Entry, Lineage, Part
from deltakit.delta.terms import TERMS
from deltakit.delta.terms.base import Term
from deltakit.delta.terms.exact import Exact
from deltakit.errors import CheckpointError, DeltakitError
from deltakit.tensors import ITEMSIZE, TensorSpec

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
_MAX_INDEX = 256 << 20
_FETCH = "fetch or make the file again"


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
            raise CheckpointError(f"{self.path}: tensor {name!r} is damaged (checksum)", remedy=_FETCH)
        return blob

    def sidecar(self) -> Sidecar:
        """The files inside."""
        import zstandard

        files = {}
        for name, (start, stop) in self.files.items():
            packed, size = self.data[start:stop], int(self.index["files"][name][1])
            if checksum(packed) != self.index["files"][name][2]:
                raise CheckpointError(f"{self.path}: the file {name!r} inside is damaged (checksum)", remedy=_FETCH)
            files[name] = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)
        return Sidecar(files)

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
            raise type(wrong)(f"{self.path}: tensor {name!r}: {wrong.message}", remedy=wrong.remedy) from wrong
        except (KeyError, TypeError, ValueError, IndexError) as wrong:
            raise CheckpointError(
                f"{self.path}: tensor {name!r}: a {kind} term is malformed ({wrong!r})", remedy=_FETCH
            ) from wrong
        return term


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
    index, start = _index(path, data)
    try:
        specs = {n: _spec(index["tensors"][n]) for n in sorted(index["tensors"])}
        places, at = _places({n: sum(p[-1] for p in _payloads(t)) for n, t in index["tensors"].items()}, start)
        files, at = _places({n: int(f[0]) for n, f in index.get("files", {}).items()}, at)
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise CheckpointError(f"{path}: the index is malformed ({wrong!r})", remedy=_FETCH) from wrong
    _check_size(path, len(data), at, {**places, **files})
    return Archive(path, data, index, places, files, specs)


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
    packed = zstandard.ZstdCompressor(level=19).compress(text)
    digest = hashlib.blake2b(packed, digest_size=8).digest()
    return _HEAD.pack(MAGIC, VERSION, 0, len(packed), len(text), digest) + packed


def pack_tensor(name: str, entry: Entry) -> tuple[dict[str, Any], bytes]:
    """The index item and the blob of one tensor."""
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


def _index(path: Path, data: memoryview) -> tuple[dict[str, Any], int]:
    import zstandard

    if len(data) < _HEAD.size or bytes(data[:8]) != MAGIC:
        raise CheckpointError(
            f"{path}: not a delta file ({len(data)} bytes)", remedy="make one with `deltakit extract`"
        )
    _, version, _, packed, size, digest = _HEAD.unpack(data[: _HEAD.size])
    if version != VERSION:
        raise CheckpointError(f"{path}: format {version}, this deltakit reads {VERSION}", remedy="update deltakit")
    stop = _HEAD.size + packed
    if size > _MAX_INDEX or stop > len(data):
        raise CheckpointError(f"{path}: the index is cut short or too large", remedy=_FETCH)
    if hashlib.blake2b(data[_HEAD.size : stop], digest_size=8).digest() != digest:
        raise CheckpointError(f"{path}: the index is damaged (checksum)", remedy=_FETCH)
    try:
        index = json.loads(zstandard.ZstdDecompressor().decompress(data[_HEAD.size : stop], max_output_size=size))
    except (zstandard.ZstdError, ValueError) as wrong:
        raise CheckpointError(f"{path}: the index cannot be read ({wrong})", remedy=_FETCH) from None
    return index, stop


def _payloads(item: Mapping[str, Any]) -> list[list[Any]]:
    return [*item.get("p", ()), *([item["a"]] if "a" in item else [])]


def _places(sizes: Mapping[str, int], at: int) -> tuple[dict[str, tuple[int, int]], int]:
    """Where blobs of these sizes lie, one behind the other in sorted order."""
    places = {}
    for name in sorted(sizes):
        if sizes[name] < 0:
            raise ValueError(f"{name} has a negative size")
        places[name] = (at, at + sizes[name])
        at += sizes[name]
    return places, at


def _check_size(path: Path, size: int, want: int, places: Mapping[str, tuple[int, int]]) -> None:
    if size == want:
        return
    cut = next((n for n, (_, stop) in places.items() if stop > size), None)
    where = f"; the first tensor cut is {cut!r}" if cut else "; there are bytes behind its end"
    raise CheckpointError(f"{path}: {size} bytes, its index says {want}{where}", remedy=_FETCH)


def _spec(item: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(int(n) for n in item["s"])
    rows = shape[0] if shape else 1
    sane = all(n >= 0 for n in shape) and len(shape) <= 8 and 0 <= int(item.get("h", rows)) <= rows
    if not sane or item["d"] not in ITEMSIZE:
        raise CheckpointError(f"a tensor has the impossible spec {item['s']} {item['d']}", remedy=_FETCH)
    return TensorSpec(shape, item["d"])
