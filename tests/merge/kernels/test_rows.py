"""Ranked rows against the sorts of the numpy form: ties, zeros, NaN, and rows so alike that hints mislead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit.merge.kernels.rows import crumbs, prune
from deltakit.sparsify.rows import ranks

values = st.lists(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.5, 2.0, -3.0, 1e-40, np.inf, np.nan]), min_size=1, max_size=40
)


def banded(row: np.ndarray, first: int, end: int) -> np.ndarray:
    order = ranks(row[None])[0]
    return np.where((first <= order) & (order < end), row, np.float32(0))


@settings(deadline=None)  # the first call compiles
@given(values, st.data(), st.integers(0, 1 << 31))
def test_a_band_of_ranks_is_kept(drawn: list[float], data: st.DataObject, hint: int) -> None:
    row = np.array(drawn, np.float32)
    first = data.draw(st.integers(0, row.size))
    end = data.draw(st.integers(first, row.size))
    made, hints = row.copy(), np.full(2, hint, np.uint32)
    crumbs(made, np.empty(row.size, np.uint32), first, end, hints)
    np.testing.assert_array_equal(made, banded(row, first, end))


@pytest.mark.parametrize("size", [2048, 5632])
def test_long_rows_with_many_ties(size: int) -> None:
    rng, hints = np.random.default_rng(size), np.zeros(2, np.uint32)
    for scale in (1e-3, 1.1e-3, 50.0, 1e-6, 0.0):
        row = (np.round(rng.standard_normal(size) * 40) * scale).astype(np.float32)
        for first, end in ((size // 100, size // 5), (0, size), (size // 2, size // 2), (1, 2)):
            made = row.copy()
            crumbs(made, np.empty(size, np.uint32), first, end, hints)
            np.testing.assert_array_equal(made, banded(row, first, end))


@settings(deadline=None)
@given(values, st.integers(0, 2**32))
def test_each_rank_has_its_own_limit_and_factor(drawn: list[float], seed: int) -> None:
    row, rng = np.array(drawn, np.float32), np.random.default_rng(seed)
    limits = rng.integers(0, 1 << 32, row.size, dtype=np.uint64)
    lanes = rng.integers(0, 1 << 32, row.size, dtype=np.uint32)
    factors, order = rng.random(row.size).astype(np.float32), ranks(row[None])[0]
    made = row.copy()
    prune(made, np.empty(row.size, np.uint32), lanes, limits, factors, np.empty((2, row.size), np.int32))
    np.testing.assert_array_equal(made, np.where(lanes < limits[order], row * factors[order], np.float32(0)))
