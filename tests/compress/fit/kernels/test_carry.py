"""Compiled loops against their numpy forms. Run: pytest tests/compress/fit/kernels/test_carry.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.fit.grids import AROUND, INSIDE, STEP, nearest, quantise
from deltakit.compress.fit.kernels.carry import code_rows, code_tile, search, search_weighted


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("length", [1, 3, 4, 63, 1000])
def test_the_search_is_that_of_the_grids(bits, length):
    for seed in range(4):
        x = np.random.default_rng(seed).standard_t(4, length)
        got, want = search(x, bits, STEP[bits], AROUND, INSIDE), quantise(x, bits)[1]
        errors = [float(((x - s * nearest(x, np.array(s), bits)) ** 2).sum()) for s in (got, want)]
        assert errors[0] == pytest.approx(errors[1], rel=1e-9, abs=1e-20 + 1e-12 * float(x @ x))


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-200, 1e200])
def test_any_size_of_numbers(size):
    x = np.random.default_rng(0).standard_normal(20)
    got = search(x * size, 2, STEP[2], AROUND, INSIDE)
    assert got == (pytest.approx(quantise(x, 2)[1] * size, rel=1e-9) if size > 1e-278 else 0.0)
    assert search(np.zeros(0), 2, STEP[2], AROUND, INSIDE) == 0.0


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_the_weighted_search_is_near_a_fine_scan(bits):
    rng = np.random.default_rng(3)
    x, weights = rng.standard_normal(300), rng.lognormal(0, 2, 300)
    got = search_weighted(x, weights, bits, STEP[bits], AROUND, INSIDE)
    scales = np.append(np.abs(x).max() * np.geomspace(2e-3, 2, 4000), got)[:, None]
    errors = (weights * (x - scales * nearest(x, scales, bits)) ** 2).sum(axis=1)
    assert errors[-1] <= 1.06 * errors.min()
    assert search_weighted(np.zeros(4), np.ones(4), bits, STEP[bits], AROUND, INSIDE) == 0.0


def test_rows_one_by_one():
    rng = np.random.default_rng(1)
    left, rank, bits = rng.standard_normal((4, 30)), np.triu(rng.standard_normal((4, 4)), 1), np.array([8, 0, 2, 1])
    want, out = left.copy(), np.empty_like(left)
    errors = np.zeros_like(left)
    for k in range(4):
        if bits[k]:
            scale = quantise(want[k], int(bits[k]))[1]
            errors[k] = want[k] - scale * nearest(want[k], np.array(scale), int(bits[k]))
        want[k + 1 :] -= rank[k, k + 1 :, None] * errors[k]
    code_rows(left, rank, bits, STEP, AROUND, INSIDE, out)
    assert np.allclose(left, errors, atol=1e-12)
    assert np.allclose(out[1], want[1])
    assert set(np.abs(out[3])) == {0.5}


def test_a_tile_by_the_definition():
    """Every error goes to the same rank behind, the same column behind and both, by the product of the shares."""
    rng = np.random.default_rng(2)
    start, before = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    rank, column = (np.eye(n) + np.triu(rng.standard_normal((n, n)), 1) for n in (3, 5))
    scale, bits = np.array([0.5, 0.1, 0.0]), np.array([2, 3, 2])
    out, own = np.empty((3, 5)), np.empty((3, 5))
    left = start.copy()
    code_tile(left, before, rank, column, scale, bits, out, own)
    spread = rank.T @ (before + own @ column)  # all that any of them takes
    value = start - spread + own
    want = [nearest(value[k], scale[k], int(bits[k])) if scale[k] else np.full(5, 0.5) for k in range(3)]
    assert np.allclose(own, value - scale[:, None] * out)
    assert np.array_equal(out, want)
    assert np.allclose(left, before + own @ column)


def test_floats_in_a_tile_keep_their_value():
    left, nothing, one = np.array([[1.5, -2.0]]), np.zeros((1, 2)), np.ones((1, 1))
    out, own = np.empty((1, 2)), np.empty((1, 2))
    code_tile(left, nothing, one, np.eye(2), np.zeros(1), np.zeros(1, np.int64), out, own)
    assert out.tolist() == [[1.5, -2.0]]
    assert not own.any()
    assert not left.any()
