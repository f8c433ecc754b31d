"""The compiled loops over bit streams against their numpy form, which test_packing.py holds against one big number."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.coding import packing
from deltakit.delta.coding.packing import pack, unpack

COUNT = packing._LARGE + 77


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_bytes_are_those_of_numpy(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(bits).integers(0, 1 << bits, COUNT + 1, dtype=np.uint8)
    raw = pack(codes, bits)
    odd = pack(codes[1:], bits)
    found = [unpack(raw, bits, COUNT - start, start) for start in (0, 1, 7, 8, 76)]
    monkeypatch.setattr(packing, "_LARGE", 1 << 60)
    assert pack(codes, bits) == raw
    assert pack(codes[1:], bits) == odd
    for start, got in zip((0, 1, 7, 8, 76), found, strict=True):
        np.testing.assert_array_equal(got, codes[start:COUNT])
        np.testing.assert_array_equal(unpack(raw, bits, COUNT - start, start), got)


@pytest.mark.parametrize("bits", [1, 3, 7])
def test_a_stream_that_ends_with_its_last_code_is_read_to_the_end_and_no_further(bits: int) -> None:
    codes = np.full(packing._LARGE, (1 << bits) - 1, np.uint8)
    raw = pack(codes, bits)
    behind = np.frombuffer(bytes(3) + raw, np.uint8)[3:]  # at an odd address
    assert np.array_equal(unpack(behind, bits, codes.size), codes)
    assert np.array_equal(unpack(raw, bits, codes.size), codes)
