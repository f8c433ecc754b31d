"""Reading trellis codes. Run: pytest tests/delta/coding/test_trellis.py"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from deltakit.delta.coding.factor import Factor, factor_size, is_code, is_factor_code
from deltakit.delta.coding.packing import pack
from deltakit.delta.coding.trellis import TRELLIS, packed, read, ring, states, table
from deltakit.errors import RecipeError

DIGEST = "2c5f58900e892e004dfd274e1f3fd919843017cddd641e460d50f1afe39c23c8"


def slowly(codes, bits):
    """A column, bit by bit, as the format page says it."""
    line = [int(c) >> b & 1 for c in codes for b in range(bits)]
    found = []
    for i in range(len(codes)):
        last = i * bits + bits - 1
        state = sum(line[(last - back) % len(line)] << (11 - back) for back in range(12))
        found.append(table()[state])
    return np.array(found, np.float32)


def test_the_table_is_that_of_the_format_page():
    whole = table() * 4096
    assert hashlib.sha256(whole.astype("<i2").tobytes()).hexdigest() == DIGEST
    assert len(np.unique(whole)) == 4096
    assert np.sqrt(np.mean(np.square(table()))) == pytest.approx(1.0, abs=2e-3)


def test_golden_columns():
    two = [4604, 3446, -4332, 603, -2600, -501, 1552, -5468]
    one = [5683, -1791, 595, -5384, -4671, -491, -5089, 5831]
    assert (read(bytes([0x1B, 0xE4]), 2, 8, 1, 0, 8).ravel() * 4096).tolist() == two
    assert (read(bytes([0xB1]), 1, 8, 1, 0, 8).ravel() * 4096).tolist() == one


@pytest.mark.parametrize("code", TRELLIS)
@pytest.mark.parametrize("length", [1, 3, 5, 12, 40])
def test_any_rows_of_any_ring(code, length):
    bits = TRELLIS[code]
    codes = np.random.default_rng(length).integers(0, 1 << bits, (3, length), dtype=np.uint8)
    raw = pack(codes, bits)
    want = np.stack([slowly(c, bits) for c in codes], axis=1)
    for lo in range(length):
        for hi in range(lo, length + 1):
            assert np.array_equal(read(raw, bits, length, 3, lo, hi), want[lo:hi])


@pytest.mark.parametrize("code", TRELLIS)
def test_a_factor_of_numbers_is_packed_and_read(code):
    bits = TRELLIS[code]
    codes = np.random.default_rng(1).integers(0, 1 << bits, (4, 30), dtype=np.uint8)
    values = table()[states(ring(codes, bits), bits)].T
    factor = Factor.of(values, code)
    assert factor.raw.nbytes == factor_size(30, 4, code) == (30 * 4 * bits + 7) // 8
    assert bytes(factor.raw) == pack(codes, bits)
    assert np.array_equal(factor.rows(0, 30), values)
    assert np.array_equal(factor.gather([29, 0, 17]), values[[29, 0, 17]])
    wide = np.full((5, 9), 7, np.float32)
    factor.fill(wide[:, 2:6], 11)
    assert np.array_equal(wide[:, 2:6], values[11:16])
    assert (wide[:, 6:] == 7).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing(shape):
    assert Factor.of(np.zeros(shape, np.float32), "T2").rows(0, shape[0]).shape == shape


def test_numbers_that_are_in_no_table_or_not_in_that_order():
    with pytest.raises(RecipeError, match="no trellis"):
        packed(np.full((9, 1), 0.1, np.float32), 2)
    with pytest.raises(RecipeError, match="no trellis"):
        packed(table()[[5, 6, 7, 8, 9, 10, 11, 12]][:, None], 1)


def test_only_factors_have_trellis_codes():
    assert is_factor_code("T2")
    assert is_factor_code(3)
    assert not is_factor_code("T4")
    assert not is_code("T2")
