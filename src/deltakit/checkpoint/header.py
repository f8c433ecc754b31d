"""The strict safetensors header parser: every byte of the file accounted for, before anything is allocated.

Format: 8 bytes little-endian header length, a JSON object (name -> dtype, shape, data_offsets), the data.
Stricter than the reference reader, which accepts duplicate tensor names (safetensors 0.8).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.checkpoint.quantised import GGUF_REMEDY
from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import CheckpointError, DeltakitError, UnsafeError
from deltakit.tensors import ITEMSIZE, TensorSpec

__all__ = ["MAX_HEADER", "MAX_RANK", "MAX_TENSORS", "Header", "Located", "parse_header", "read_header"]

MAX_HEADER = 100_000_000  # bytes; the reference implementation's cap
MAX_TENSORS = 1_000_000
MAX_RANK = 8
_AGAIN = "run the download again"
_KEYS = {"dtype", "shape", "data_offsets"}
# beginnings of files that are often found under a .safetensors name
_IMPOSTORS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights", "run `git lfs pull` in that folder"),
    (b"<", "is an HTML or XML page, not weights", f"{_AGAIN}; the address gave a web page"),
    (b"GGUF", "is a GGUF file", GGUF_REMEDY),
)
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class Located:
    """A tensor and where its bytes lie: absolute offsets [start, end) in the file."""

    spec: TensorSpec
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """Tensors sorted by name, the metadata strings, and where the data begin (bytes)."""

    tensors: Mapping[str, Located]
    metadata: Mapping[str, str]
    data_start: int


def read_header(path: Path) -> Header:
    """The header of a file on disk. Reads no more than the header. CheckpointError, UnsafeError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8 + 64)
        length = _length(start, size, str(path))
        file.seek(8)
        return parse_header(file.read(length), size, str(path))


def parse_header(raw: bytes, file_size: int, where: str) -> Header:
    """The header from its JSON bytes (without the 8 length bytes), checked against the file's size.

    All problems are listed at once: unknown dtypes, bad shapes, sizes that differ, holes, overlaps.
    """
    if raw.count(b"{") > 2 * MAX_TENSORS or raw.count(b",") > (MAX_RANK + 4) * MAX_TENSORS:
        raise CheckpointError(f"{where}: the header holds more than {MAX_TENSORS} tensors")
    parsed = parse_json(raw, f"{where} (header)")
    if not isinstance(parsed, dict) or raw[:1] != b"{":
        raise CheckpointError(f"{where}: the header is not a JSON object", remedy=_AGAIN)
    metadata = _metadata(parsed.pop("__metadata__", None), where)
    if len(parsed) > MAX_TENSORS:
        raise CheckpointError(f"{where}: the header holds more than {MAX_TENSORS} tensors")
    data_start = 8 + len(raw)
    found, problems = _tensors(parsed, data_start)
    if not problems:
        problems = _coverage(found, data_start, file_size)
    if problems:
        raise CheckpointError(f"{where}: bad safetensors header", details=problems, remedy=_AGAIN)
    return Header(found, metadata, data_start)


def _length(start: bytes, size: int, where: str) -> int:
    """The header's length, if the file can hold it and is no impostor."""
    impostor = _impostor(start, where)
    if impostor:
        raise impostor
    if len(start) < 8:
        raise CheckpointError(f"{where}: {size} bytes; expected at least 8 for a safetensors file", remedy=_AGAIN)
    length = int.from_bytes(start[:8], "little")
    if start[:8].isascii() and "".join(start[:8].decode().split()).isprintable():
        problem = f"{where} is no safetensors file: it begins with {start[:8].decode()!r}"
        raise CheckpointError(problem, remedy="name a model folder, a .safetensors file, a delta or an adapter")
    if length > MAX_HEADER:
        raise CheckpointError(f"{where}: header length {length} is over the cap of {MAX_HEADER} bytes", remedy=_AGAIN)
    if 8 + length > size:
        problem = f"{where} is truncated: expected at least {8 + length} bytes for its header, found {size}"
        raise CheckpointError(problem, remedy=_AGAIN)
    return length


def _impostor(start: bytes, where: str) -> DeltakitError | None:
    # a true header length below 100 MB has four zero bytes at 4..8, no impostor has
    if start[4:8] == bytes(4):
        return None
    if start.startswith(_PICKLES):
        return UnsafeError(f"{where} is a pickle or zip file, not safetensors; it is never loaded", remedy=_CONVERT)
    for magic, what, remedy in _IMPOSTORS:
        if start.lstrip().startswith(magic):
            return CheckpointError(f"{where} {what}", remedy=remedy)
    return None


_CONVERT = "convert it where you trust it: load with transformers, then save_pretrained(..., safe_serialization=True)"


def _metadata(raw: Any, where: str) -> Mapping[str, str]:
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(v, str) for v in raw.values()):
        raise CheckpointError(f"{where}: __metadata__ must map strings to strings", remedy=_AGAIN)
    return raw


def _tensors(parsed: Mapping[str, Any], data_start: int) -> tuple[dict[str, Located], list[str]]:
    found: dict[str, Located] = {}
    problems: list[str] = []
    for name in sorted(parsed):
        problem = _problem(name, parsed[name])
        if problem:
            problems.append(f"tensor {name!r}: {problem}")
        else:
            entry = parsed[name]
            start, end = (data_start + offset for offset in entry["data_offsets"])
            found[name] = Located(TensorSpec(tuple(entry["shape"]), entry["dtype"]), start, end)
    return found, problems


def _problem(name: str, entry: Any) -> str:
    """What is wrong with one entry taken alone, or ""."""
    if any("\ud800" <= c <= "\udfff" for c in name):
        return "its name is not valid Unicode"
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        return "expected exactly dtype, shape and data_offsets"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEMSIZE:
        return f"dtype {dtype!r} is not supported (known: {', '.join(ITEMSIZE)})"
    if not _naturals(shape) or len(shape) > MAX_RANK:
        return f"shape {str(shape)[:80]} is not a list of at most {MAX_RANK} natural numbers"
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        return f"data_offsets {str(offsets)[:80]} are not two natural numbers in order"
    want = math.prod(shape) * ITEMSIZE[dtype]
    if math.prod(d or 1 for d in shape) >= 2**60:
        return f"shape {shape} overflows"
    if offsets[1] - offsets[0] != want:
        return f"{dtype} {shape} takes {want} bytes, its data_offsets give {offsets[1] - offsets[0]}"
    return ""


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _coverage(found: Mapping[str, Located], data_start: int, file_size: int) -> list[str]:
    """Holes, overlaps, truncation and trailing bytes: the data must be covered exactly."""
    problems, at, before = [], data_start, ""
    for name, place in sorted(found.items(), key=lambda item: (item[1].start, item[1].end)):
        if place.start > at:
            problems.append(f"hole of {place.start - at} bytes before tensor {name!r}")
        if place.start < at:
            problems.append(f"tensors {before!r} and {name!r} overlap by {at - place.start} bytes")
        if place.end >= at:
            at, before = place.end, name
    if at > file_size:
        problems.append(f"the file is truncated: expected {at} bytes, found {file_size}")
    if at < file_size:
        problems.append(f"{file_size - at} trailing bytes: expected {at} bytes, found {file_size}")
    return problems
