"""A masked difference: the kept values alone, where the mask is regenerated from a key or stored as a bitmap.

Layout of the payload: u32 rows per chunk, u32 chunk lengths, then per chunk: with a bitmap mask u32 length and the
deflated bitmap (bit e of the flattened chunk, little-endian bit order), then the kept float32 values as byte planes
(planes.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit import rng
from deltakit.delta.coding.planes import CHUNK, Planes, check_chunk, deflate, encode, inflate
from deltakit.delta.terms.base import Float32, Term
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec

__all__ = ["Sparse"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sparse(Term):
    """factor * values where the mask keeps, 0 elsewhere. A seeded mask (key, T) costs no bytes (DARE); T / 2**32 is
    the probability really used. key None: the mask is a bitmap in the payload."""

    kind: ClassVar[str] = "sparse"
    spec: TensorSpec
    payload: memoryview
    factor: float = 1.0
    key: int | None = None
    threshold: int = 0

    @classmethod
    def seeded(
        cls, rows: Callable[[int, int], Float32], spec: TensorSpec, key: int, density: float, factor: float
    ) -> Sparse:
        """Keep each element with probability `density` by the key's stream (deltakit.rng)."""
        threshold = rng.threshold(density)

        def chunk(lo: int, hi: int) -> bytes:
            kept = rows(lo, hi).ravel()[_stream(key, threshold, lo * spec.row_size, hi * spec.row_size)]
            return _values(kept)

        return cls(spec, memoryview(_chunks(chunk, spec)), factor, key, threshold)

    @classmethod
    def nonzero(cls, rows: Callable[[int, int], Float32], spec: TensorSpec, factor: float = 1.0) -> Sparse:
        """Keep what is not zero, with a bitmap of where that is."""

        def chunk(lo: int, hi: int) -> bytes:
            values = rows(lo, hi).ravel()
            mask = values != 0
            bitmap = deflate(np.packbits(mask, bitorder="little").tobytes())
            return np.uint32(len(bitmap)).tobytes() + bitmap + _values(values[mask])

        return cls(spec, memoryview(_chunks(chunk, spec)), factor)

    def rows(self, lo: int, hi: int) -> Float32:
        step, ends = _table(self.payload, self.spec)
        width = self.spec.row_size
        out = np.zeros((hi - lo, width), np.float32)
        for c in range(lo // step, math.ceil(hi / step)) if hi > lo else ():
            first, last = c * step, min(self.spec.rows, (c + 1) * step)
            a, b = max(lo, first), min(hi, last)
            start = int(ends[c - 1]) if c else 4 + 4 * len(ends)
            dense = self._chunk(self.payload[start : int(ends[c])], first * width, last * width)
            out[a - lo : b - lo] = dense.reshape(last - first, width)[a - first : b - first]
        return out

    def _chunk(self, stored: memoryview, lo: int, hi: int) -> Float32:
        """Elements lo..hi of one chunk, scattered and scaled."""
        if self.key is not None:
            mask = _stream(self.key, self.threshold, lo, hi)
        else:
            mask, stored = _bitmap(stored, hi - lo)
        out = np.zeros(hi - lo, np.float32)
        count = int(np.count_nonzero(mask))
        kept = Planes.open(stored, count, 1, 4).read(0, count).view(np.float32)
        out[mask] = kept * np.float32(self.factor)
        return out

    @property
    def density(self) -> float | None:
        """The share kept by a seeded mask."""
        return self.threshold / 2**32 if self.key is not None else None

    @property
    def nbytes(self) -> int:
        return len(self.payload)

    def save(self) -> tuple[dict[str, Any], bytes]:
        fields: dict[str, Any] = {} if self.factor == 1.0 else {"f": self.factor}
        if self.key is not None:
            fields |= {"k": self.key, "t": self.threshold}
        return fields, bytes(self.payload)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Sparse:
        _table(payload, spec)
        factor, key, threshold = fields.get("f", 1.0), fields.get("k"), fields.get("t", 0)
        seeded = type(key) is int and 0 <= key < 1 << 64 and type(threshold) is int and 1 <= threshold <= 1 << 32
        if not (seeded or key is None) or type(factor) not in (int, float):
            raise CheckpointError(f"a sparse term has the factor {factor!r}, key {key!r} and threshold {threshold!r}")
        return cls(spec, payload, float(factor), key, threshold)


def _stream(key: int, threshold: int, lo: int, hi: int) -> Mask:
    """The seeded mask of elements lo..hi."""
    return rng.lanes(key, lo, hi) <= np.uint32(threshold - 1)


def _values(kept: Float32) -> bytes:
    return encode(lambda a, b: kept[a:b].view(np.uint32), len(kept), 1)


def _chunks(chunk: Callable[[int, int], bytes], spec: TensorSpec) -> bytes:
    """Rows per chunk, lengths, chunks."""
    step = max(1, CHUNK // max(1, spec.row_size))
    parts = [chunk(lo, min(lo + step, spec.rows)) for lo in range(0, spec.rows, step)]
    lengths = np.array([len(p) for p in parts], "<u4")
    return b"".join([np.uint32(step).tobytes(), lengths.tobytes(), *parts])


def _table(payload: memoryview, spec: TensorSpec) -> tuple[int, NDArray[np.int64]]:
    """(rows per chunk, where each chunk ends), checked against the payload."""
    step = int(np.frombuffer(payload[:4], "<u4")[0]) if len(payload) >= 4 else 0
    count = math.ceil(spec.rows / max(1, step))
    table = 4 + 4 * count
    if step == 0 or len(payload) < table:
        raise CheckpointError("a sparse payload is cut short", remedy="fetch the file again")
    ends = table + np.cumsum(np.frombuffer(payload[4:table], "<u4").astype(np.int64))
    if (int(ends[-1]) if count else table) != len(payload):
        raise CheckpointError("a sparse payload's lengths do not add up", remedy="fetch the file again")
    check_chunk(step, spec.rows, spec.row_size)
    return step, ends


def _bitmap(stored: memoryview, count: int) -> tuple[Mask, memoryview]:
    """The mask of one chunk and the rest of it."""
    size = int(np.frombuffer(stored[:4], "<u4")[0])
    bits = np.frombuffer(inflate(stored[4 : 4 + size], math.ceil(count / 8)), np.uint8)
    return np.unpackbits(bits, count=count, bitorder="little").astype(bool), stored[4 + size :]
