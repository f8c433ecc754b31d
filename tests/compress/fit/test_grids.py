"""Mid-rise grids and their scale search. Run: pytest tests/compress/test_grids.py"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.compress.fit.grids import nearest, quantise
from deltakit.delta.coding.factor import midrise
from deltakit.errors import RecipeError

# share of a Gaussian's energy lost by the best uniform grid (Max, 1960)
GAUSSIAN_LOSS = {1: 0.3634, 2: 0.1188, 3: 0.03744, 4: 0.01154, 5: 0.003495, 6: 0.00104, 7: 0.000304, 8: 0.0000869}


def error(x, bits, codes, scale):
    return float(((x - scale * midrise(bits)[codes]) ** 2).sum())


@pytest.mark.parametrize("bits", range(1, 9))
def test_a_gaussian_loses_what_theory_says(bits):
    x = np.random.default_rng(0).standard_normal(20000)
    codes, scale = quantise(x, bits)
    assert 0.9 * GAUSSIAN_LOSS[bits] < error(x, bits, codes, scale) / (x @ x) < 1.05 * GAUSSIAN_LOSS[bits]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("kind", ["normal", "uniform", "heavy", "spike"])
def test_the_search_is_near_a_fine_scan(bits, kind):
    rng = np.random.default_rng(bits)
    x = {
        "normal": rng.standard_normal(300),
        "uniform": rng.uniform(-1, 1, 300),
        "heavy": rng.standard_t(3, 300),
        "spike": np.where(np.arange(300) == 7, 30.0, rng.standard_normal(300)),
    }[kind]
    scales = np.abs(x).max() * np.geomspace(2e-3, 2, 4000)[:, None]
    best = float(((x - scales * nearest(x, scales, bits)) ** 2).sum(axis=1).min())
    assert error(x, bits, *quantise(x, bits)) <= 1.06 * best + 1e-12


@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize("x", [np.zeros(5), np.zeros(0), np.full(3, 1e-300)])
def test_a_zero_vector_has_scale_zero(bits, x):
    codes, scale = quantise(x, bits)
    assert scale == 0.0
    assert codes.shape == x.shape
    assert (codes < 1 << bits).all()


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1.0, 1e30])
def test_the_size_of_the_numbers_does_not_matter(size):
    x = np.random.default_rng(1).standard_normal(50)
    codes, scale = quantise(x, 3)
    other, larger = quantise(x * size, 3)
    assert np.array_equal(codes, other)
    assert larger == pytest.approx(scale * size)


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_one_number_is_kept(bits):
    codes, scale = quantise(np.array([-0.7]), bits)
    assert scale * midrise(bits)[codes][0] == pytest.approx(-0.7)


@given(st.integers(1, 8), st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_never_worse_than_nothing(bits, values):
    x = np.array(values)
    codes, scale = quantise(x, bits)
    assert codes.dtype == np.uint8
    assert (codes < 1 << bits).all()
    assert error(x, bits, codes, scale) <= (x @ x) * (1 + 1e-9)


def test_only_one_to_eight_bits():
    with pytest.raises(RecipeError, match="bits per code"):
        quantise(np.ones(3), 9)
