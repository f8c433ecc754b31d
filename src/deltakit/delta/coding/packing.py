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
_RUN = 1 << 13  # groups at a time: what numpy needs beside its output stays in the cache
_LARGE = 1 << 17  # codes from which compiled loops are worth loading


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
    if bits == 8:
        return bytes(flat.data)
    whole = flat.size // 8
    out = np.zeros((whole + 1) * bits + 8, np.uint8)
    words = flat[: whole * 8].view("<u8")
    if flat.size >= _LARGE:
        from deltakit.delta.coding.kernels.bits import gather

        gather(words, np.uint64(out.ctypes.data), bits)
    else:
        out[: whole * bits] = _gather(words, bits)
    rest = np.zeros(8, np.uint8)
    rest[: flat.size % 8] = flat[whole * 8 :]
    out[whole * bits : (whole + 1) * bits] = _gather(rest.view("<u8"), bits)
    return bytes(out[: packed_size(flat.size, bits)].data)


def unpack(raw: Any, bits: int, count: int, start: int = 0) -> Codes:
    """Codes start .. start+count of a bit stream (bytes-like)."""
    have = memoryview(raw).nbytes
    if have < packed_size(start + count, bits):
        raise CheckpointError(f"{have} bytes hold fewer than {start + count} codes of {bits} bits")
    stream = np.frombuffer(raw, np.uint8)
    if bits == 8:
        return stream[start : start + count].copy()
    first, last = start // 8, -(-(start + count) // 8)  # a group of eight codes starts at a whole byte
    words = np.empty(last - first, "<u8")
    stream = stream[first * bits :]
    done = 0
    if count >= _LARGE:
        from deltakit.delta.coding.kernels.bits import spread

        done = min(len(words), (stream.size - 8) // bits + 1)
        spread(words[:done], np.uint64(stream.ctypes.data), bits)
    for lo in range(done, len(words), _RUN):
        hi = min(len(words), lo + _RUN)
        _spread(words[lo:hi], stream[lo * bits : hi * bits], bits)
    return words.view(np.uint8)[start - 8 * first : start - 8 * first + count]


def unpack_rows(raw: Any, bits: int, width: int, ids: Sequence[int] | NDArray[np.int64]) -> Codes:
    """Rows of `width` codes by index, (len(ids), width); only the bytes of these rows are touched."""
    out = np.empty((len(ids), width), np.uint8)
    for i, row in enumerate(ids):
        out[i] = unpack(raw, bits, width, int(row) * width)
    return out


def _steps(bits: int) -> list[tuple[np.uint64, np.uint64, np.uint64]]:
    """How the halves of a word part: (mask of the low halves, mask of the high ones, how far the high ones move), for
    halves of 4, 2 and 1 codes."""
    found = []
    for half in (4, 2, 1):
        low = sum(((1 << (half * bits)) - 1) << at for at in range(0, 64, 16 * half))
        found.append((np.uint64(low), np.uint64(low << (half * bits)), np.uint64(half * (8 - bits))))
    return found


def _spread(words: NDArray[np.uint64], stream: Codes, bits: int) -> None:
    """Fill each word with the eight codes of a group, a byte each; the last group may be cut short."""
    groups = np.zeros((len(words), 8), np.uint8)
    whole = stream.size // bits
    groups[:whole, :bits] = stream[: whole * bits].reshape(-1, bits)
    if stream.size % bits:
        groups[whole, : stream.size % bits] = stream[whole * bits :]
    words[:] = groups.view("<u8").ravel()
    for low, high, far in _steps(bits):
        words[:] = (words & low) | ((words & high) << far)


def _gather(words: NDArray[np.uint64], bits: int) -> Codes:
    """The stream of words that hold eight codes each, flat."""
    for low, high, far in reversed(_steps(bits)):
        words = (words & low) | ((words >> far) & high)
    return words.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)[:, :bits].ravel()
