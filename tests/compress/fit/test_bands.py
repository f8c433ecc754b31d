"""How ranks are shared out. Run: pytest tests/compress/test_bands.py"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.compress.fit.bands import LOSS, allot, clip, expected, least_bytes, most, parse_bands, spread
from deltakit.delta.terms.lowrank import payload_bytes
from deltakit.errors import RecipeError


def falling(n, power=1.0):
    return np.arange(1, n + 1.0) ** (-2 * power)


def test_the_bits_are_those_of_the_best_allocation():
    """Against all allocations of falling bits to five ranks: no better one fits."""
    spectrum, shape, budget = falling(5), (40, 24), 60
    best = np.inf
    for bits in itertools.combinations_with_replacement(range(8, -1, -1), 5):
        bands = [(b, bits.count(b)) for b in range(8, 0, -1) if b in bits]
        if payload_bytes(shape, bands) <= budget:
            best = min(best, expected(spectrum, bands))
    assert expected(spectrum, allot(spectrum, shape, budget, 1)) <= 1.02 * best


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 60000), st.floats(0, 2), st.integers(1, 2))
def test_never_over_budget_or_beyond_the_rank(rows, columns, budget, power, least):
    spectrum = falling(min(rows, columns), power)
    got = allot(spectrum, (rows, columns), budget, least)
    assert payload_bytes((rows, columns), got) <= budget
    assert sum(r for _, r in got) <= min(rows, columns)
    assert [b for b, _ in got] == sorted({b for b, _ in got}, reverse=True)
    assert bool(got) == (budget >= payload_bytes((rows, columns), [(least, 1)]))
    if got and got != ((8, min(rows, columns)),):  # less is left than the next step takes
        assert budget - payload_bytes((rows, columns), got) < (rows + columns) * least / 8 + 2 + 2 * 8


def test_a_flat_spectrum_fills_its_budget():
    got = allot(np.ones(64), (64, 64), 1024)
    assert got[-1][0] == 2
    assert 1024 - payload_bytes((64, 64), got) < 34


def test_a_steep_spectrum_gets_more_bits_for_fewer_ranks():
    steep, flat = (allot(falling(256, power), (256, 256), 8192) for power in (1.5, 0.1))
    assert sum(r for _, r in steep) < sum(r for _, r in flat)
    assert steep[0][0] > flat[0][0]


def test_what_is_left_over_widens_the_bands():
    assert allot(falling(32), (32, 32), 10**6) == ((8, 32),)
    assert allot(falling(32)[:3], (32, 32), 10**6) == ((8, 3),)
    assert allot(np.zeros(0), (32, 32), 10**6) == ()


def test_ranks_that_are_nothing_cost_nothing_more_than_they_must():
    spectrum = np.array([4.0, 1.0, 0, 0])
    got = allot(spectrum, (8, 8), 40)
    assert expected(spectrum, got) < 0.01


def test_the_expected_error():
    assert expected(np.array([4.0, 2.0, 1.0]), ((8, 1), (2, 1))) == pytest.approx(4 * LOSS[8] + 2 * LOSS[2] + 1)
    assert expected(np.array([4.0]), (("F16", 3),)) == pytest.approx(4 * LOSS[8])
    assert expected(np.array([4.0, 2.0]), ()) == 6.0


def test_less_than_one_column_is_nothing():
    assert allot(falling(4), (4, 64), least_bytes((4, 64))) == ((2, 1),)
    assert allot(falling(4), (4, 64), least_bytes((4, 64)) - 1) == ()


def test_most_is_the_largest_that_fits():
    shape = (30, 20)
    top = most(lambda k: [("F16", k)], 20, shape, 500, "")
    assert payload_bytes(shape, [("F16", top)], "") <= 500 < payload_bytes(shape, [("F16", top + 1)], "")
    assert most(lambda k: [("F16", k)], 20, shape, 0) == 0
    assert most(lambda k: [("F16", k)], -3, shape, 500) == 0


def test_bands_cut_at_a_rank():
    assert clip(((8, 2), (3, 32), (2, 968)), 20) == ((8, 2), (3, 18))
    assert clip(((8, 2),), 0) == ()
    assert spread(((8, 1), ("F16", 2))) == [8, "F16", "F16"]


def test_sixteen_and_thirty_two_are_floats():
    assert parse_bands("32:1,16:2,bf16:3,1:4") == (("F32", 1), ("F16", 2), ("BF16", 3), (1, 4))


@pytest.mark.parametrize("text", ["", "8", "8:", "9:2", "8:x", "8:2,,3:1", "eight:2", "8:-1", "8:2;3:1"])
def test_bands_that_cannot_be_read(text):
    with pytest.raises(RecipeError, match="cannot read") as wrong:
        parse_bands(text)
    assert "8:2,3:32,2:968" in wrong.value.remedy


def test_bands_of_no_rank():
    with pytest.raises(RecipeError, match="keep no rank"):
        parse_bands("8:0,2:0")
