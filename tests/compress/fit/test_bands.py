"""How ranks are shared out. Run: pytest tests/compress/test_bands.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.compress.fit.bands import clip, fill, least_bytes, most, parse_bands, spread
from deltakit.delta.terms.lowrank import payload_bytes
from deltakit.errors import RecipeError


def test_the_reference_setting_is_what_a_large_matrix_gets():
    """Delta-CoMe keeps 2/32/968 of 4096 at nominal 1 bit; the scale of every column costs eight ranks."""
    assert parse_bands("8:2, 3:32, 2:968") == ((8, 2), (3, 32), (2, 968))
    got = fill((4096, 4096), 4096 * 4096 // 8, 4096)
    assert [b for b, _ in got] == [8, 3, 2]
    assert got[0] == (8, 2)
    assert 32 <= got[1][1] <= 33
    assert 955 <= got[2][1] <= 968
    assert 0 <= 4096 * 4096 // 8 - payload_bytes((4096, 4096), got) < 4096 * 2 * 2 / 8 + 2


def test_a_small_matrix_where_the_reference_setting_overruns():
    got = fill((160, 160), 3200, 160)
    assert got[0] == (8, 1)
    assert sum(r for _, r in got) == 35
    assert payload_bytes((160, 160), got) <= 3200


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 60000), st.integers(0, 300))
def test_never_over_budget_or_beyond_the_rank(rows, columns, budget, rank):
    got = fill((rows, columns), budget, rank)
    assert payload_bytes((rows, columns), got) <= budget
    assert sum(r for _, r in got) <= min(rows, columns, rank)
    if budget >= least_bytes((rows, columns)) and rank:
        assert got
    if got:  # what is chosen does not change once its rank is known
        assert fill((rows, columns), budget, sum(r for _, r in got)) == got


@given(st.integers(20, 200), st.integers(20, 200), st.floats(0.2, 6))
def test_a_budget_is_used_up_to_less_than_a_rank(rows, columns, bits):
    budget = int(rows * columns * bits / 8)
    got = fill((rows, columns), budget, 999)
    whole = got == ((8, min(rows, columns)),)
    assert whole or budget - payload_bytes((rows, columns), got) < (rows + columns) * 5 / 8 + 8


def test_what_is_left_over_widens_the_bands():
    assert fill((32, 32), 10**6, 32) == ((8, 32),)
    assert fill((32, 32), 10**6, 3) == ((8, 3),)
    bands = fill((32, 32), 700, 32)
    assert [b for b, _ in bands] == [8, 3, 2]
    assert sum(r for _, r in bands) == 32


def test_less_than_one_column_is_nothing():
    assert fill((4, 64), least_bytes((4, 64)), 4) == ((2, 1),)
    assert fill((4, 64), least_bytes((4, 64)) - 1, 4) == ()


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
