"""Elements between bytes and float32: all patterns of 16 bits, and drawn ones of 32, as `deltakit.tensors` has them."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.merge.kernels.codes import KINDS, decode, encode, rounded
from deltakit.tensors import from_float32, to_float32

RNG = np.random.default_rng(3)
BITS = RNG.integers(0, 1 << 32, 1 << 16, dtype=np.uint32).view(np.float32)
SCALED = (RNG.standard_normal(1 << 16) * np.exp2(RNG.integers(-30, 20, 1 << 16))).astype(np.float32)
HALFWAY = to_float32(np.arange(0x7C00, dtype=np.uint16), "F16") + np.float32(2.0**-25)
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.99, 65520, 6e-8, 2.9e-8, 3e38, 1e-45], np.float32)
VALUES = np.concatenate([BITS, SCALED, HALFWAY, EDGES])


def address(array: np.ndarray) -> np.uint64:
    return np.uint64(array.ctypes.data)


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Equal bits; a NaN is a NaN."""
    nan = np.isnan(theirs)
    np.testing.assert_array_equal(np.isnan(ours), nan)
    np.testing.assert_array_equal(ours[~nan].view(np.uint32), theirs[~nan].view(np.uint32))


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_every_pattern_is_read(dtype: str) -> None:
    patterns, found = np.arange(1 << 16, dtype=np.uint16), np.empty((1 << 16) - 1, np.float32)
    decode(found, address(patterns), 1, KINDS[dtype])
    same(found, to_float32(patterns[1:], dtype))


@pytest.mark.parametrize("dtype", list(KINDS))
def test_values_are_rounded_once_to_nearest_even(dtype: str) -> None:
    written = np.zeros(VALUES.size, "<u4" if dtype == "F32" else "<u2")
    encode(VALUES, address(written), 0, KINDS[dtype])
    expected = to_float32(from_float32(VALUES, dtype), dtype)
    same(to_float32(written, dtype), expected)
    again = VALUES.copy()
    rounded(again, KINDS[dtype])
    same(again, expected)


def test_odd_addresses_are_read_and_written() -> None:
    raw = bytearray(33)
    held = np.frombuffer(raw, np.uint8)[1:]
    encode(np.arange(16, dtype=np.float32), address(held), 0, KINDS["BF16"])
    found = np.empty(16, np.float32)
    decode(found, address(held), 0, KINDS["BF16"])
    np.testing.assert_array_equal(found, np.arange(16))
    assert raw[0] == 0
