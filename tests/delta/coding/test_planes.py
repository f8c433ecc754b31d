"""Byte planes: lossless, decodable by range, and suspicious of what they are given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.delta.coding import planes
from deltakit.delta.coding.planes import Planes, deflate, encode, inflate, unzigzag, zigzag
from deltakit.errors import CheckpointError


def coded(bits, rows, row_size):
    return memoryview(encode(lambda lo, hi: bits[lo * row_size : hi * row_size], rows, row_size))


@pytest.mark.parametrize("dtype", ["<u1", "<u2", "<u4", "<u8"])
def test_zigzag_is_a_bijection_with_small_codes_for_small_differences(dtype):
    bits = np.array([0, 1, 2, np.iinfo(dtype).max, np.iinfo(dtype).max // 2, np.iinfo(dtype).max // 2 + 1], dtype)
    assert (unzigzag(zigzag(bits)) == bits).all()
    minus_one = np.array([np.iinfo(dtype).max], dtype)
    assert zigzag(minus_one)[0] == 1
    assert zigzag(np.array([1], dtype))[0] == 2


@given(st.integers(0, 40), st.integers(1, 7), st.sampled_from(["<u2", "<u4"]), st.integers(0, 2**32 - 1))
def test_any_range_of_rows_reads_back(rows, row_size, dtype, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, np.iinfo(dtype).max, rows * row_size, dtype=dtype, endpoint=True)
    opened = Planes.open(coded(bits, rows, row_size), rows, row_size, bits.itemsize)
    lo, hi = sorted(rng.integers(0, rows + 1, 2))
    assert (opened.read(lo, hi) == bits[lo * row_size : hi * row_size]).all()


def test_ranges_across_chunks(monkeypatch):
    monkeypatch.setattr(planes, "CHUNK", 12)
    bits = np.arange(5 * 31, dtype="<u4")
    payload = coded(bits, 31, 5)
    opened = Planes.open(payload, 31, 5, 4)
    assert opened.step == 2
    for lo, hi in [(0, 31), (1, 2), (1, 4), (30, 31), (7, 7)]:
        assert (opened.read(lo, hi) == bits[lo * 5 : hi * 5]).all()


def test_zero_planes_cost_nothing_and_noise_is_stored_as_it_is():
    assert deflate(bytes(1000)) == b""
    noise = np.random.default_rng(0).bytes(1000)
    assert deflate(noise) == noise
    assert len(deflate(b"ab" * 500)) < 100
    for plane in (bytes(1000), noise, b"ab" * 500):
        assert inflate(memoryview(deflate(plane)), 1000) == plane


def test_golden_bytes():
    bits = np.array([0x0102, 0x0100], "<u2")
    assert bytes(coded(bits, 2, 1)).hex() == "00000400" + "02000000" + "02000000" + "0200" + "0101"


@pytest.mark.parametrize("cut", [0, 3, 5, -1])
def test_a_cut_payload_is_refused(cut):
    payload = coded(np.arange(64, dtype="<u2"), 8, 8)
    with pytest.raises(CheckpointError):
        Planes.open(payload[:cut], 8, 8, 2)


def test_a_plane_that_lies_about_its_size_is_refused_before_it_is_unpacked():
    bomb = memoryview(deflate(bytes([1]) * 100_000))
    with pytest.raises(CheckpointError, match="another size"):
        inflate(bomb, 50_000)
    with pytest.raises(CheckpointError, match="damaged|another size"):
        inflate(memoryview(b"not a frame"), 100)


def test_a_chunk_that_nobody_writes_is_refused_before_it_is_unpacked():
    lie = memoryview(np.uint32(1 << 31).tobytes() + bytes(8))  # two planes of zeros, of 2**31 rows each
    with pytest.raises(CheckpointError, match="too large"):
        Planes.open(lie, 1 << 31, 1 << 8, 2)
    assert Planes.open(memoryview(np.uint32(1).tobytes() + bytes(4)), 1, 1 << 25, 1).step == 1  # one row is never cut
