"""The compiled search against all paths. Run: pytest tests/compress/fit/kernels/test_trellis.py"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deltakit.compress.fit.kernels.trellis import search


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("start", [-1, 0, 5])
def test_the_path_is_the_best_of_all(bits, start):
    rng, size = np.random.default_rng(bits), 16
    values, x = rng.standard_normal(size).astype(np.float32), rng.standard_normal(6).astype(np.float32)
    codes, back = np.empty(6, np.uint8), np.empty((6, size >> bits), np.uint8)
    search(x, values, bits, start, back, codes)

    def path(first, steps):
        state, error = first, 0.0
        for i, new in enumerate(steps):
            state = state >> bits | new << (4 - bits)
            error += (x[i] - values[state]) ** 2
        return state, error

    starts = range(size) if start < 0 else [start]
    every = [(f, s) for f in starts for s in itertools.product(range(1 << bits), repeat=6)]
    errors = [e if start < 0 or end == start else np.inf for end, e in (path(f, s) for f, s in every)]
    mine = min(e for end, e in (path(f, codes) for f in starts) if start < 0 or end == start)
    assert mine == pytest.approx(min(errors), rel=1e-5)
