"""Tight bit streams: golden bytes, every width, any start. Run: pytest tests/delta/test_packing.py"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.delta.coding.packing import check_bits, pack, packed_size, unpack, unpack_rows
from deltakit.errors import CheckpointError, RecipeError


@pytest.mark.parametrize(
    ("bits", "codes", "stored"),
    [
        (1, [1, 0, 1, 1, 0, 0, 0, 1, 1], "8d01"),
        (2, [0, 1, 2, 3, 3], "e403"),
        (3, [0, 1, 2, 3, 4, 5, 6, 7], "88c6fa"),
        (4, [1, 2, 15], "210f"),
        (5, [31, 0, 31], "1f7c"),
        (6, [63, 1, 2, 3], "7f200c"),
        (7, [127, 0, 127], "7fc01f"),
        (8, [0, 255, 16], "00ff10"),
    ],
)
def test_golden_bytes(bits: int, codes: list[int], stored: str) -> None:
    assert pack(np.array(codes, np.uint8), bits).hex() == stored
    assert unpack(bytes.fromhex(stored), bits, len(codes)).tolist() == codes


def obvious(codes: list[int], bits: int) -> bytes:
    """The oracle: one big number."""
    number = sum(code << (i * bits) for i, code in enumerate(codes))
    return number.to_bytes((len(codes) * bits + 7) // 8, "little")


@given(st.integers(1, 8), st.data())
def test_agrees_with_one_big_number(bits: int, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=70))
    raw = pack(np.array(codes, np.uint8), bits)
    assert raw == obvious(codes, bits)
    assert len(raw) == packed_size(len(codes), bits)
    start = data.draw(st.integers(0, len(codes)))
    assert unpack(raw, bits, len(codes) - start, start).tolist() == codes[start:]


def test_three_bits_are_exactly_three_bits() -> None:
    assert packed_size(8000, 3) == 3000
    assert len(pack(np.full(8000, 7, np.uint8), 3)) == 3000


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_runs_join_without_a_seam(bits: int) -> None:
    codes = np.random.default_rng(0).integers(0, 1 << bits, (1 << 20) + 77, dtype=np.uint8)
    raw = pack(codes, bits)
    assert len(raw) == packed_size(codes.size, bits)
    assert np.array_equal(unpack(raw, bits, codes.size), codes)
    assert np.array_equal(unpack(raw, bits, 98, (1 << 20) - 21), codes[(1 << 20) - 21 :])


def test_rows_by_index() -> None:
    codes = np.random.default_rng(1).integers(0, 8, (20, 13), dtype=np.uint8)
    assert np.array_equal(unpack_rows(pack(codes, 3), 3, 13, [19, 0, 7, 7]), codes[[19, 0, 7, 7]])
    assert unpack_rows(b"", 3, 13, []).shape == (0, 13)


def test_booleans_are_codes_of_one_bit() -> None:
    assert pack(np.array([[True, False], [False, True]]), 1) == b"\x09"


def test_a_code_too_large_is_refused() -> None:
    with pytest.raises(RecipeError, match="code 4 does not fit in 2 bits"):
        pack(np.array([4], np.uint8), 2)


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_only_one_to_eight_bits(bits: int) -> None:
    with pytest.raises(RecipeError, match="bits per code"):
        check_bits(bits)


def test_a_stream_cut_short_is_refused() -> None:
    with pytest.raises(CheckpointError, match="2 bytes hold fewer than 8 codes"):
        unpack(b"ab", 3, 8)
