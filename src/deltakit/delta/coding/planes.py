"""Lossless coding of integers in byte planes: the byte k of every element together, each plane a zstd frame.

Layout: u32 rows per chunk, then u32 lengths (chunk by chunk, lowest plane first), then the frames. A length of 0 is a
plane of zeros; a length equal to the plane's size is the plane as it is; anything else is a zstd frame. Chunks are
whole rows, so that a range of rows is decoded alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import CheckpointError

__all__ = [
    "CHUNK",
    "MAX_CHUNK",
    "Planes",
    "Unsigned",
    "check_chunk",
    "deflate",
    "encode",
    "inflate",
    "unzigzag",
    "zigzag",
]

Unsigned = NDArray[Any]
CHUNK = 1 << 18  # elements; small enough to decode alone, large enough for zstd
MAX_CHUNK = 1 << 24  # elements that a reader unpacks at once, unless one row alone has more
LEVEL = 3  # on deltas of fine-tunes level 9 is four times slower and no smaller


def zigzag(bits: Unsigned) -> Unsigned:
    """Wrapped differences as small unsigned numbers: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    signed = bits.view(f"<i{bits.itemsize}")
    out: Unsigned = ((signed << 1) ^ (signed >> (8 * bits.itemsize - 1))).view(bits.dtype)
    return out


def unzigzag(bits: Unsigned) -> Unsigned:
    """The inverse of zigzag."""
    one = bits.dtype.type(1)
    out: Unsigned = (bits >> one) ^ (~(bits & one) + one)
    return out


def deflate(plane: bytes) -> bytes:
    """A plane as stored: nothing when all zero, a zstd frame when that is smaller, else as it is."""
    import zstandard

    if plane.count(0) == len(plane):
        return b""
    packed: bytes = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False).compress(plane)
    return packed if len(packed) < len(plane) else plane


def inflate(stored: memoryview, size: int) -> bytes:
    """The plane of `size` bytes behind what `deflate` stored; never allocates more than that."""
    import zstandard

    if len(stored) == size:
        return bytes(stored)
    if not len(stored):
        return bytes(size)
    try:
        if zstandard.frame_content_size(stored) != size:
            raise CheckpointError("a compressed plane has another size than its tensor", remedy="fetch the file again")
        plane: bytes = zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as broken:
        raise CheckpointError(f"a compressed plane is damaged ({broken})", remedy="fetch the file again") from None
    return plane


def check_chunk(step: int, rows: int, row_size: int) -> None:
    """A chunk that nobody writes would be unpacked whole: an archive of a few bytes could ask for any memory."""
    if step > 1 and min(step, rows) * row_size > MAX_CHUNK:
        raise CheckpointError(
            f"chunks of {step} rows of {row_size} elements are too large", remedy="fetch the file again"
        )


def encode(pull: Callable[[int, int], Unsigned], rows: int, row_size: int) -> bytes:
    """Code `rows` rows; pull(lo, hi) gives their elements, flat, as unsigned integers."""
    step = max(1, CHUNK // max(1, row_size))
    planes: list[bytes] = []
    for lo in range(0, rows, step):
        bits = np.ascontiguousarray(pull(lo, min(lo + step, rows)))
        split = bits.view(np.uint8).reshape(-1, bits.itemsize)
        planes += [deflate(split[:, k].tobytes()) for k in range(bits.itemsize)]
    lengths = np.array([len(p) for p in planes], "<u4")
    return b"".join([np.uint32(step).tobytes(), lengths.tobytes(), *planes])


@dataclass(frozen=True)
class Planes:
    """The decoder over one payload. Every size is checked against the payload before anything is allocated."""

    payload: memoryview
    rows: int
    row_size: int
    itemsize: int
    step: int
    ends: NDArray[np.int64]  # where each plane ends, behind the table

    @classmethod
    def open(cls, payload: memoryview, rows: int, row_size: int, itemsize: int) -> Planes:
        """Read the table of lengths."""
        if len(payload) < 4:
            raise CheckpointError("a payload is cut short", remedy="fetch the file again")
        step = int(np.frombuffer(payload[:4], "<u4")[0])
        count = math.ceil(rows / max(1, step)) * itemsize
        table = 4 + 4 * count
        if step == 0 or len(payload) < table:
            raise CheckpointError("a payload is smaller than its table of lengths", remedy="fetch the file again")
        ends = table + np.cumsum(np.frombuffer(payload[4:table], "<u4").astype(np.int64))
        if (int(ends[-1]) if count else table) != len(payload):
            raise CheckpointError("a payload's lengths do not add up", remedy="fetch the file again")
        check_chunk(step, rows, row_size)
        return cls(payload, rows, row_size, itemsize, step, ends)

    @property
    def stored(self) -> memoryview:
        """The bytes behind the table: none when every element is zero."""
        return self.payload[4 + 4 * len(self.ends) :]

    def read(self, lo: int, hi: int) -> Unsigned:
        """The elements of rows lo..hi, flat."""
        out = np.empty((hi - lo) * self.row_size, f"<u{self.itemsize}")
        for chunk in range(lo // self.step, math.ceil(hi / self.step)) if hi > lo else ():
            first = chunk * self.step
            a, b = max(lo, first), min(hi, first + self.step)
            part = self._chunk(chunk)[(a - first) * self.row_size : (b - first) * self.row_size]
            out[(a - lo) * self.row_size : (b - lo) * self.row_size] = part
        return out

    def _chunk(self, chunk: int) -> Unsigned:
        """All elements of one chunk."""
        count = (min(self.rows, (chunk + 1) * self.step) - chunk * self.step) * self.row_size
        split = np.empty((count, self.itemsize), np.uint8)
        start = 4 + 4 * len(self.ends)
        for k in range(self.itemsize):
            i = chunk * self.itemsize + k
            stored = self.payload[int(self.ends[i - 1]) if i else start : int(self.ends[i])]
            split[:, k] = np.frombuffer(inflate(stored, count), np.uint8)
        return split.view(f"<u{self.itemsize}").ravel()
