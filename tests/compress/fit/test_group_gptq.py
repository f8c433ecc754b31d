"""Grouped codes for known inputs: against plain rounding, and against every choice of codes on a small row."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deltakit.compress.fit.group_gptq import carried_share, quantise_for
from deltakit.compress.fit.groups import quantise_rows
from deltakit.compress.hessian import Hessian
from deltakit.delta.coding.grid import middle, scaled

RNG = np.random.default_rng(0)


def inputs(size, axis=1):
    x = RNG.standard_normal((4 * size, size)) @ (RNG.standard_normal((size, size)) * np.geomspace(0.05, 2, size))
    return Hessian(x.T @ x, axis, 4 * size)


def same(rows, bits):
    return np.full(len(rows), bits)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("bits", [2, 4])
def test_the_outputs_are_nearer_than_by_rounding(bits, zero, axis):
    hessian, rows = inputs(96, axis), RNG.standard_normal((70, 96) if axis else (96, 70)).astype(np.float32)
    plain, known = quantise_rows(rows, bits, 32, zero), quantise_for(rows, same(rows, bits), 32, zero, hessian)
    assert np.array_equal(plain[1], known[1])
    before, after = (hessian.error(rows - scaled(*made, 32, bits, zero)) for made in (plain, known))
    assert after < 0.8 * before
    assert 0.4 * carried_share(hessian) < after / before < 1.1 * carried_share(hessian)


def test_near_the_best_of_all_codes():
    hessian, rows = inputs(6), RNG.standard_normal((5, 6)).astype(np.float32)
    codes, scales = quantise_for(rows, same(rows, 2), 3, False, hessian)
    every = np.array(list(itertools.product(range(4), repeat=6))) - middle(2, False)
    best = plain = 0.0
    for row, scale in zip(rows, np.repeat(scales, 3, axis=1), strict=True):
        off = row - every * scale
        best += ((off @ hessian.gram) * off).sum(axis=1).min()
    plain = hessian.error(rows - scaled(*quantise_rows(rows, 2, 3), 3, 2, False))
    found = hessian.error(rows - scaled(codes, scales, 3, 2, False))
    assert best <= found * (1 + 1e-6)
    assert found - best < 0.5 * (plain - best)


@pytest.mark.parametrize("axis", [0, 1])
def test_white_inputs_ask_for_rounding(axis):
    rows = RNG.standard_normal((40, 33)).astype(np.float32)
    rows[3] = 0
    white = Hessian(np.eye(rows.shape[axis]), axis, 1)
    for zero in (False, True):
        plain, known = quantise_rows(rows, 3, 16, zero), quantise_for(rows, same(rows, 3), 16, zero, white)
        assert np.array_equal(plain[0], known[0])
    assert carried_share(white) == pytest.approx(1.0)


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_of_different_widths(axis):
    hessian, rows = inputs(48, axis), RNG.standard_normal((40, 48) if axis else (48, 40)).astype(np.float32)
    widths = np.where(np.arange(len(rows)) < 11, 3, 2)
    codes, _ = quantise_for(rows, widths, 16, False, hessian)
    assert codes[:11].max() == 7
    assert codes[11:].max() == 3
    if axis == 1:  # outputs know nothing of each other
        alone, _ = quantise_for(rows[11:], widths[11:], 16, False, hessian)
        assert np.array_equal(codes[11:], alone)
