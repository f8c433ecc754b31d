"""Errors estimated from some rows and the diagonal of the Hessian."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.fit.sampling import column_weights, sampled
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study
from deltakit.tensors import TensorSpec

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((1200, 90)).astype(np.float32)
SPEC = TensorSpec(ROWS.shape, "BF16")


def noisy(rows):
    return rows + np.float32(0.1) * np.random.default_rng(1).standard_normal(rows.shape).astype(np.float32)


def diagonal(axis):
    size = ROWS.shape[axis]
    return Hessian(np.diag(np.random.default_rng(2).uniform(1, 9, size)) * 50, axis, 50)


@pytest.mark.parametrize("hessian", [None, diagonal(0), diagonal(1)])
def test_the_sample_is_near_the_whole(hessian):
    study = Study(SPEC, ROWS, hessian)
    assert sampled(study, noisy) == pytest.approx(study.error(ROWS - noisy(ROWS)), rel=0.05)
    assert study.spread == pytest.approx(study.energy, rel=1e-5)
    assert np.broadcast_shapes(column_weights(study).shape, ROWS.shape) == ROWS.shape


def test_zero_is_no_error():
    assert sampled(Study(SPEC, ROWS * 0), np.zeros_like) == 0.0
