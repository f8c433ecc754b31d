"""Codes and scales of many groups: what they lose, against a fine scan and the float64 search of one vector."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.fit.grids import quantise
from deltakit.compress.fit.groups import error, grid_pays, quantise_groups, quantise_rows
from deltakit.delta.coding.factor import midrise
from deltakit.delta.coding.grid import middle, scaled
from deltakit.errors import RecipeError
from deltakit.tensors import from_float32, to_float32

RNG = np.random.default_rng(0)
KINDS = {
    "normal": RNG.standard_normal((64, 128)),
    "uniform": RNG.uniform(-1, 1, (64, 128)),
    "heavy": RNG.standard_t(3, (64, 128)),
    "spike": np.where(RNG.random((64, 128)) < 0.01, 30.0, RNG.standard_normal((64, 128))),
    "short": RNG.standard_normal((64, 7)),
}


def lost(x, codes, scales, bits, zero):
    return float(((x - scaled(codes, scales[:, None], x.shape[1], bits, zero)) ** 2).sum() / (x**2).sum())


# 2 bits lose 11.6 % of Gaussian groups of 128, where min-max loses 25 %
@pytest.mark.parametrize(("bits", "share"), [(1, 0.3605), (2, 0.1162), (3, 0.0352), (4, 0.00995)])
def test_gaussian_groups_of_128_lose_what_was_measured(bits, share):
    x = np.random.default_rng(1).standard_normal((1000, 128)).astype(np.float32)
    assert lost(x, *quantise_groups(x, bits), bits, False) == pytest.approx(share, rel=0.025)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_no_worse_than_the_search_of_one_vector(kind, bits):
    x = KINDS[kind].astype(np.float32)
    found = [quantise(row.astype(np.float64), bits) for row in x]
    one = sum(((row - scale * midrise(bits)[codes]) ** 2).sum() for row, (codes, scale) in zip(x, found, strict=True))
    assert lost(x, *quantise_groups(x, bits), bits, False) <= 1.01 * one / (x**2).sum() + 1e-5  # scales of 8 bits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_grid_with_a_zero_is_near_a_fine_scan(kind, bits):
    x, half = KINDS[kind][:16].astype(np.float32), 1 << (bits - 1)
    best = 0.0
    for row in x:
        scales = np.abs(row).max() / half * np.geomspace(0.2, 2.5, 800)[:, None]
        scales = np.concatenate([scales, -scales])
        steps = np.clip(np.rint(row / scales), -half, half - 1)
        best += float(((row - scales * steps) ** 2).sum(axis=1).min())
    assert lost(x, *quantise_groups(x, bits, True), bits, True) <= 1.12 * best / (x**2).sum() + 1e-5


@pytest.mark.parametrize("zero", [False, True])
def test_scales_are_stored_numbers_and_codes_the_nearest(zero):
    x = KINDS["heavy"].astype(np.float32)
    codes, scales = quantise_groups(x, 3, zero)
    assert np.array_equal(to_float32(from_float32(scales, "BF16"), "BF16"), scales)
    levels = (np.arange(8) - middle(3, zero)) * scales[:, None]
    nearest = np.abs(x[:, :, None] - levels[:, None, :]).min(axis=2)
    assert np.allclose(np.abs(x - scaled(codes, scales[:, None], 128, 3, zero)), nearest, atol=1e-6)


@pytest.mark.parametrize("zero", [False, True])
def test_zeros_and_the_smallest_numbers(zero):
    x = np.stack([np.zeros(5), np.full(5, 1e-36), np.full(5, 1e-30), np.full(5, 3.3e38), np.eye(5)[1]])
    codes, scales = quantise_groups(x.astype(np.float32), 2, zero)
    made = scaled(codes, scales[:, None], 5, 2, zero)
    assert not made[:2].any()
    assert np.isfinite(made).all()
    assert made[2] == pytest.approx(1e-30, rel=0.01)
    assert scales[3] != 0


def test_a_short_last_group_has_a_scale_of_its_own():
    rows = np.concatenate([np.full((3, 8), 1.0), np.full((3, 2), 5.0)], axis=1).astype(np.float32)
    codes, scales = quantise_rows(rows, 2, 4)
    assert scales.shape == (3, 3)
    assert np.allclose(scaled(codes, scales, 4, 2, False), rows, rtol=0.005)
    for shape in ((0, 5), (5, 0)):
        codes, scales = quantise_rows(np.zeros(shape, np.float32), 2, 4)
        assert codes.shape == shape
        assert scales.shape == (shape[0], -(-shape[1] // 4))


def test_zeros_ask_for_a_grid_that_has_one():
    rows = np.where(RNG.random((64, 64)) < 0.9, 0, RNG.standard_normal((64, 64))).astype(np.float32)
    dense = RNG.standard_normal((64, 64)).astype(np.float32)
    assert grid_pays(rows, 2, 32)
    assert not grid_pays(dense, 2, 32)
    assert not grid_pays(rows, 1, 32)
    assert error(rows, 2, 32, True) < 0.7 * error(rows, 2, 32, False)


def test_only_one_to_eight_bits():
    with pytest.raises(RecipeError, match="bits per code"):
        quantise_groups(np.ones((1, 3), np.float32), 9)
