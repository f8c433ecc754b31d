"""The index of a delta file: unpacked within limits, parsed strictly, every item checked before a blob is touched."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deltakit.errors import CheckpointError
from deltakit.tensors import ITEMSIZE, TensorSpec

__all__ = ["AGAIN", "MAX_FILE", "MAX_INDEX", "Layout", "lay_out", "parse_index", "unframe"]

AGAIN = "fetch or make the file again"
MAX_INDEX = 1 << 28  # bytes unpacked
MAX_FILE = 256_000_000  # bytes of a file inside, unpacked
_MAX_VALUES, _MAX_DEPTH = 1 << 24, 32
_MAX_TENSORS, _MAX_NAME = 1 << 20, 4096
_MAX_DIMENSIONS, _MAX_ELEMENTS = 8, 1 << 40
_MAX_SIZE = 1 << 63
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ITEM = {"s", "d", "h", "p", "a", "c"}
_CHECKSUM = re.compile("[0-9a-f]{16}")

Place = tuple[int, int]  # (start, stop) in the file


@dataclass(frozen=True)
class Layout:
    """Where everything lies: specs and blobs of tensors, files inside, and the size that the whole file must have."""

    specs: Mapping[str, TensorSpec]
    places: Mapping[str, Place]
    files: Mapping[str, Place]
    size: int


def unframe(stored: Any, size: int) -> bytes:
    """The content of one zstd frame that says it holds `size` bytes and has nothing behind it. CheckpointError, before
    anything is allocated, where it says otherwise."""
    import zstandard

    try:
        said = zstandard.frame_content_size(stored)
        if said != size:
            raise CheckpointError(f"a compressed frame of {said} bytes should have {size}", remedy=AGAIN)
        made: bytes = zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as broken:
        raise CheckpointError(f"a compressed frame is damaged ({broken})", remedy=AGAIN) from None
    return made


def parse_index(text: bytes) -> dict[str, Any]:
    """The index as a dict. CheckpointError for what no honest writer makes: duplicate keys, NaN, nesting beyond 32,
    millions of values."""
    bones = _STRING.sub(b"", text)
    if sum(bones.count(mark) for mark in (b",", b"[", b"{")) > _MAX_VALUES:
        raise CheckpointError(f"the index holds more than {_MAX_VALUES:,} values", remedy=AGAIN)
    if _depth(bones) > _MAX_DEPTH:
        raise CheckpointError(f"the index is nested deeper than {_MAX_DEPTH}", remedy=AGAIN)
    try:
        found = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_number, parse_float=_number, parse_int=_integer
        )
    except (ValueError, RecursionError) as wrong:  # bad UTF-8 is a ValueError too
        raise CheckpointError(f"the index cannot be read ({wrong})", remedy=AGAIN) from None
    if not isinstance(found, dict) or found.get("kind") != "delta":
        raise CheckpointError("the index is malformed: it is not of kind 'delta'", remedy=AGAIN)
    return found


def lay_out(index: Mapping[str, Any], start: int) -> Layout:
    """Specs and places, with the first blob at `start`; every tensor and file with something wrong is listed."""
    tensors, files = index.get("tensors"), index.get("files", {})
    if not isinstance(tensors, dict) or not isinstance(files, dict) or len(tensors) > _MAX_TENSORS:
        raise CheckpointError(f"the index is malformed: no map of at most {_MAX_TENSORS:,} tensors", remedy=AGAIN)
    problems = _about(index)
    specs, sizes, packed = {}, {}, {}
    for name in sorted(tensors):
        try:
            specs[name], sizes[name] = _item(name, tensors[name])
        except (KeyError, TypeError, ValueError, IndexError) as wrong:
            problems.append(f"tensor {name[:80]!r}: {_say(wrong)}")
    for name in sorted(files):
        try:
            packed[name] = _file(name, files[name])
        except (KeyError, TypeError, ValueError, IndexError) as wrong:
            problems.append(f"file {name[:80]!r}: {_say(wrong)}")
    if problems:
        raise CheckpointError("the index is malformed", details=problems[:20], remedy=AGAIN)
    places, at = _places(sizes, start)
    inside, at = _places(packed, at)
    return Layout(specs, places, inside, at)


def _depth(bones: bytes) -> int:
    """How deep the brackets of JSON without its strings are nested."""
    marks = np.frombuffer(bones.translate(None, bytes(set(range(256)) - set(b"[]{}"))), np.uint8)
    steps = np.where((marks == ord("[")) | (marks == ord("{")), np.int8(1), np.int8(-1))
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate keys: {sorted({k for k in keys if keys.count(k) > 1})[:3]}")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 21 else 1 << 64
    if not -(1 << 64) < value < 1 << 64:
        raise ValueError(f"an integer of {len(text)} digits")
    return value


def _about(index: Mapping[str, Any]) -> list[str]:
    """What is wrong with the rest of the index."""
    problems = []
    missing, lineage, parts = index.get("missing", []), index.get("lineage", {}), index.get("sum", [])
    if not isinstance(missing, list) or not all(isinstance(n, str) for n in missing):
        problems.append("missing: not a list of names")
    if not isinstance(lineage, dict) or not isinstance(lineage.get("note", {}), dict):
        problems.append("lineage: not an object")
    elif not all(isinstance(lineage.get(k, ""), str) for k in ("base", "tuned", "name")):
        problems.append("lineage: base, tuned and name are texts")
    sane = isinstance(parts, list) and all(
        isinstance(p, dict) and _is_number(p.get("coef")) and isinstance(p.get("of"), str) for p in parts
    )
    return problems if sane else [*problems, 'sum: not a list of {"coef", "of"}']


def _item(name: str, item: Any) -> tuple[TensorSpec, int]:
    """Spec and blob size of one tensor; ValueError (or KeyError) for what cannot be."""
    if not name or len(name.encode(errors="replace")) > _MAX_NAME:
        raise ValueError(f"its name is not of 1 to {_MAX_NAME} bytes")
    if not isinstance(item, dict) or item.keys() - _ITEM:
        raise ValueError(f"unknown keys {sorted(item.keys() - _ITEM)}" if isinstance(item, dict) else "not an object")
    spec = _spec(item["s"], item["d"])
    if "h" in item and not (type(item["h"]) is int and 0 <= item["h"] <= spec.rows):
        raise ValueError(f"{item['h']!r} shared rows of {spec.rows}")
    if not _CHECKSUM.fullmatch(item["c"]):
        raise ValueError(f"{item['c']!r} is not a checksum")
    if not isinstance(item.get("p", []), list):
        raise ValueError("its terms are not a list")
    size = sum(_term(stored, coef) for coef, *stored in item.get("p", []))
    added = _term(item["a"], 1.0) if "a" in item else 0
    if item.get("h", spec.rows) < spec.rows and "a" not in item:
        raise ValueError("added rows without their values")
    return spec, size + added


def _spec(shape: Any, dtype: Any) -> TensorSpec:
    sane = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not sane or len(shape) > _MAX_DIMENSIONS or math.prod(n for n in shape if n) > _MAX_ELEMENTS:
        raise ValueError(f"impossible shape {str(shape)[:80]} (at most 2**40 elements in {_MAX_DIMENSIONS} dimensions)")
    if not isinstance(dtype, str) or dtype not in ITEMSIZE:
        raise ValueError(f"unknown dtype {str(dtype)[:20]!r}")
    return TensorSpec(tuple(shape), dtype)


def _term(stored: Any, coef: Any) -> int:
    """The payload size of a stored term [kind, fields, bytes]."""
    kind, fields, size = stored
    if not isinstance(kind, str) or not isinstance(fields, dict) or not _is_number(coef):
        raise ValueError("a term is not [coef, kind, fields, bytes]")
    if type(size) is not int or not 0 <= size < _MAX_SIZE:
        raise ValueError(f"a {kind[:20]} term of {size!r} bytes")
    return size


def _file(name: str, item: Any) -> int:
    """The packed size of a file inside."""
    packed, size, digest = item
    if not name or name.startswith(".") or set(name) & set("/\\\0") or len(name.encode(errors="replace")) > 255:
        raise ValueError("not a plain file name")
    if type(packed) is not int or not 0 <= packed < _MAX_SIZE or type(size) is not int or not 0 <= size <= MAX_FILE:
        raise ValueError(f"{packed!r} bytes that unpack to {size!r}; at most {MAX_FILE:,}")
    if not _CHECKSUM.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a checksum")
    return packed


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _places(sizes: Mapping[str, int], at: int) -> tuple[dict[str, Place], int]:
    """Where blobs of these sizes lie, one behind the other in sorted order."""
    places = {}
    for name in sorted(sizes):
        places[name] = (at, at + sizes[name])
        at += sizes[name]
    return places, at


def _say(wrong: Exception) -> str:
    return f"{wrong.args[0]!r} is missing" if isinstance(wrong, KeyError) else str(wrong)
