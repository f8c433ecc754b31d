"""Codes of 1 to 8 bits, packed tight: value i takes bits i*b .. (i+1)*b-1 of a little-endian bit stream.

Eight values of b bits take exactly b bytes, so 3 bits are 3.0 bits; only the last byte of a stream may hold up to seven
padding bits, which are zero. The layout is part of the file format (docs/format.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import CheckpointError, RecipeError

__all__ = ["Codes", "check_bits", "pack", "packed_size", "unpack", "unpack_rows"]

Codes = NDArray[np.uint8]
_RUN = 1 << 20  # values unpacked at a time: bounds the 64-bit scratch space to 1 MiB


def check_bits(bits: int) -> int:
    """A code has 1 to 8 bits."""
    if not 1 <= bits <= 8:
        raise RecipeError(f"{bits} bits per code", remedy="use 1 to 8")
    return bits


def packed_size(count: int, bits: int) -> int:
    """Bytes that `count` codes take."""
    return (count * check_bits(bits) + 7) // 8


def pack(codes: NDArray[Any], bits: int) -> bytes:
    """The bit stream of codes (any shape, row-major; uint8 or bool), each below 2**bits."""
    flat = np.ascontiguousarray(codes, np.uint8).ravel()
    if flat.size and int(flat.max()) >> check_bits(bits):
        raise RecipeError(f"code {int(flat.max())} does not fit in {bits} bits")
    return b"".join(_pack_run(flat[lo : lo + _RUN], bits) for lo in range(0, flat.size, _RUN))


def unpack(raw: Any, bits: int, count: int, start: int = 0) -> Codes:
    """Codes start .. start+count of a bit stream (bytes-like)."""
    have = memoryview(raw).nbytes
    if have < packed_size(start + count, bits):
        raise CheckpointError(f"{have} bytes hold fewer than {start + count} codes of {bits} bits")
    out = np.empty(count, np.uint8)
    stream = np.frombuffer(raw, np.uint8)
    for lo in range(0, count, _RUN):
        hi = min(count, lo + _RUN)
        first = (start + lo) // 8 * 8  # a group of eight values starts at a whole byte
        piece = stream[first * bits // 8 : packed_size(start + hi, bits)]
        out[lo:hi] = _unpack_run(piece, bits)[start + lo - first : start + hi - first]
    return out


def unpack_rows(raw: Any, bits: int, width: int, ids: Sequence[int] | NDArray[np.int64]) -> Codes:
    """Rows of `width` codes by index, (len(ids), width); only the bytes of these rows are touched."""
    out = np.empty((len(ids), width), np.uint8)
    for i, row in enumerate(ids):
        out[i] = unpack(raw, bits, width, int(row) * width)
    return out


def _pack_run(flat: Codes, bits: int) -> bytes:
    """One run: eight codes become one 64-bit word, of which the low `bits` bytes are kept."""
    groups = np.zeros(((flat.size + 7) // 8, 8), np.uint64)
    groups.ravel()[: flat.size] = flat
    words = np.bitwise_or.reduce(groups << (np.arange(8, dtype=np.uint64) * np.uint64(bits)), axis=1)
    stream = words.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)[:, :bits]
    return bytes(stream.tobytes()[: packed_size(flat.size, bits)])


def _unpack_run(stream: Codes, bits: int) -> Codes:
    """All codes of a stream that starts at a group of eight."""
    groups = np.zeros((-(-stream.size // bits), bits), np.uint8)
    groups.ravel()[: stream.size] = stream
    words = np.zeros((len(groups), 8), np.uint8)
    words[:, :bits] = groups
    shifted = words.view("<u8") >> (np.arange(8, dtype=np.uint64) * np.uint64(bits))
    codes: Codes = (shifted & np.uint64((1 << bits) - 1)).astype(np.uint8).ravel()
    return codes
