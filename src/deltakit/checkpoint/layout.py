"""Where every byte of a checkpoint will lie: canonical headers, offsets and shards, planned from specs alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from deltakit.checkpoint.header import MAX_HEADER
from deltakit.errors import InputError, RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["INDEX_NAME", "Layout", "Placement", "plan_layout"]

INDEX_NAME = "model.safetensors.index.json"
_METADATA = {"format": "pt"}  # transformers refuses files without it


@dataclass(frozen=True)
class Placement:
    """A tensor's file and the absolute offset of its first byte in it."""

    file: str
    offset: int
    spec: TensorSpec


@dataclass(frozen=True)
class Layout:
    """Headers by file name, sizes by file name (bytes), placements by tensor name; the index file or None."""

    headers: Mapping[str, bytes]
    sizes: Mapping[str, int]
    places: Mapping[str, Placement]
    index: bytes | None

    @property
    def nbytes(self) -> int:
        """All files together, the index included."""
        return sum(self.sizes.values()) + len(self.index or b"")


def plan_layout(specs: Mapping[str, TensorSpec], max_shard_bytes: int = 5_000_000_000) -> Layout:
    """The one layout of these specs: shards filled in name order, so the order of pulling changes no byte.

    A header lists the names sorted and is padded to 8 bytes; the data lie by element size, the largest
    first, then by name, without holes, so that every tensor is aligned to its elements.
    """
    if max_shard_bytes <= 0:
        raise RecipeError(f"max_shard_bytes {max_shard_bytes} is not positive", remedy="e.g. 5000000000")
    if not specs:
        raise InputError("there is no tensor to write")
    shards = _shards(specs, max_shard_bytes)
    headers: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    places: dict[str, Placement] = {}
    for number, names in enumerate(shards, 1):
        file = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        starts, size = _starts({n: specs[n] for n in names})
        headers[file] = _header({n: specs[n] for n in names}, starts, file)
        for name in names:
            places[name] = Placement(file, len(headers[file]) + starts[name], specs[name])
        sizes[file] = len(headers[file]) + size
    index = _index(places) if len(shards) > 1 else None
    return Layout(headers, sizes, {n: places[n] for n in sorted(places)}, index)


def _shards(specs: Mapping[str, TensorSpec], limit: int) -> list[list[str]]:
    """Names in sorted order, cut before a tensor that would pass the limit; a larger tensor stands alone."""
    shards: list[list[str]] = [[]]
    held = 0
    for name in sorted(specs):
        nbytes = specs[name].nbytes
        if shards[-1] and held + nbytes > limit:
            shards.append([])
            held = 0
        shards[-1].append(name)
        held += nbytes
    return shards


def _starts(specs: Mapping[str, TensorSpec]) -> tuple[dict[str, int], int]:
    """Offsets relative to the data's beginning, and the data's size."""
    starts: dict[str, int] = {}
    at = 0
    for name in sorted(specs, key=lambda n: (-specs[n].itemsize, n)):
        starts[name] = at
        at += specs[name].nbytes
    return starts, at


def _header(specs: Mapping[str, TensorSpec], starts: Mapping[str, int], file: str) -> bytes:
    entries: dict[str, object] = {"__metadata__": _METADATA}
    for name in sorted(specs):
        spec, start = specs[name], starts[name]
        entries[name] = {"dtype": spec.dtype, "shape": spec.shape, "data_offsets": [start, start + spec.nbytes]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise InputError(f"{file}: a header of {len(text)} bytes is over the format's cap", remedy="use smaller shards")
    return len(text).to_bytes(8, "little") + text


def _index(places: Mapping[str, Placement]) -> bytes:
    total = sum(place.spec.nbytes for place in places.values())
    weights = {name: places[name].file for name in sorted(places)}
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": weights}, indent=2, ensure_ascii=False)
    return (text + "\n").encode()
