"""Scales of signs: no other is better, for the weights or for the outputs."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.fit.signs import best_scales, mean_scales
from deltakit.compress.hessian import Hessian
from deltakit.delta.terms.sign import scale_shape

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((30, 20)).astype(np.float32)
SIGNS = np.sign(ROWS) * (RNG.random(ROWS.shape) < 0.8).astype(np.float32)


def inputs(axis):
    x = RNG.standard_normal((200, ROWS.shape[axis])) * np.geomspace(0.1, 2, ROWS.shape[axis])
    x[:, 1:] += 0.5 * x[:, :-1]
    return Hessian(x.T @ x, axis, 200)


@pytest.mark.parametrize("scale", ["scalar", "row", "column"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_no_other_scales_are_better(axis, scale):
    hessian = None if axis is None else inputs(axis)
    made = mean_scales(ROWS * np.abs(SIGNS), SIGNS != 0, scale)
    made = made if hessian is None else best_scales(ROWS, SIGNS, scale, hessian)
    assert made.shape == scale_shape((30, 20), scale)

    def error(scales):
        off = ROWS - SIGNS * scales
        return float((off**2).sum()) if hessian is None else hessian.error(off)

    for k in range(made.size):
        step = np.zeros(made.size, np.float32)
        step[k] = 0.02
        assert error(made) <= min(error(made + f * step.reshape(made.shape)) for f in (1, -1)) * (1 + 1e-6)


@pytest.mark.parametrize("scale", ["scalar", "row", "column"])
def test_white_inputs_ask_for_the_mean_and_dead_ones_get_it(scale):
    white = Hessian(np.eye(20), 1, 1)
    plain = mean_scales(ROWS, None, scale)
    assert best_scales(ROWS, np.sign(ROWS), scale, white) == pytest.approx(plain, rel=1e-5)
    dead = best_scales(ROWS, np.sign(ROWS), scale, Hessian(np.zeros((20, 20)), 1, 1))
    assert np.isfinite(dead).all()
    assert not best_scales(ROWS * 0, SIGNS * 0, scale, white).any()
