"""The identity of a checkpoint in milliseconds: independent of sharding, folder and path.

SHA-256 over one line of compact JSON per tensor, in name order: [name, dtype, shape, digest]. The digest is
SHA-256 over up to 64 blocks of 4 KiB of the tensor's bytes: all blocks where there are at most 64, else
blocks floor(i * (count - 1) / 63) for i = 0..63. It samples: `verify --full` reads every byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from deltakit.tensors import TensorMap, TensorSpec, row_blocks

__all__ = ["content_digest", "fingerprint"]

_BLOCK = 4096
_COUNT = 64


def fingerprint(source: TensorMap) -> str:
    """ "sha256:<hex>" of a map of tensors; equal for any sharding, dtype and shape included."""
    total = hashlib.sha256()
    for name in sorted(source.specs):
        spec = source.specs[name]
        line = [name, spec.dtype, list(spec.shape), _digest(source, name, spec)]
        total.update(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
    return f"sha256:{total.hexdigest()}"


def content_digest(source: TensorMap) -> str:
    """The hex SHA-256 over every byte of a map of tensors: as `fingerprint`, but nothing is sampled. It reads all."""
    total = hashlib.sha256()
    for name in sorted(source.specs):
        spec, state = source.specs[name], hashlib.sha256()
        for lo, hi in row_blocks(spec):
            state.update(source.buffer(name, lo, hi))
        line = [name, spec.dtype, list(spec.shape), state.hexdigest()]
        total.update(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
    return total.hexdigest()


def _digest(source: TensorMap, name: str, spec: TensorSpec) -> str:
    state = hashlib.sha256()
    stride = spec.row_size * spec.itemsize
    whole = source.buffer(name) if getattr(source, "mapped", False) else None
    for start, end in _blocks(spec.nbytes):
        if whole is not None:
            state.update(whole[start:end])
            continue
        lo, hi = start // stride, -(-end // stride)
        state.update(source.buffer(name, lo, hi)[start - lo * stride : end - lo * stride])
    return state.hexdigest()


def _blocks(nbytes: int) -> Iterator[tuple[int, int]]:
    count = -(-nbytes // _BLOCK)
    chosen = range(count) if count <= _COUNT else [i * (count - 1) // (_COUNT - 1) for i in range(_COUNT)]
    for block in chosen:
        yield block * _BLOCK, min((block + 1) * _BLOCK, nbytes)
