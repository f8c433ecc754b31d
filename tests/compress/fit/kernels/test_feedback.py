"""Codes from the last rank to the first. Run: pytest tests/compress/fit/kernels/test_feedback.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.fit.grids import AROUND, INSIDE, STEP, nearest
from deltakit.compress.fit.kernels.carry import search
from deltakit.compress.fit.kernels.feedback import code_back


def obvious(left, lower, bits):
    """Row by row, straight from the definition."""
    out, left = np.empty_like(left), left.copy()
    for k in reversed(range(len(left))):
        row = left[k] / lower[k, k]
        scale = search(row, bits[k], STEP[bits[k]], AROUND, INSIDE) if bits[k] else 1.0
        out[k] = nearest(row, np.array(scale), bits[k]) if bits[k] else row
        left[k] = scale * out[k]
        left[:k] -= lower[k, :k, None] * left[k]
    return out, left


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_row_is_fed_to_those_before_it(dtype):
    rng = np.random.default_rng(0)
    left, lower = rng.standard_normal((5, 63)).astype(dtype), np.tril(rng.uniform(0.5, 1.5, (5, 5))).astype(dtype)
    bits = np.array([8, 3, 0, 2, 1])
    want, became = obvious(left.astype(np.float64), lower.astype(np.float64), bits)
    out = np.empty_like(left)
    code_back(left, lower, bits, STEP, AROUND, INSIDE, out)
    coded = bits > 0
    assert (out == want)[coded].mean() > (0.99 if dtype == "float32" else 0.9999)
    assert np.allclose(out[3:], want[3:])
    assert np.allclose(left[3:], became[3:], rtol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 63])
def test_sizes_and_zero_rows(length):
    left, out = np.zeros((2, length)), np.empty((2, length))
    code_back(left, np.eye(2), np.array([2, 1]), STEP, AROUND, INSIDE, out)
    assert (out == 0.5).all()
    assert not left.any()
