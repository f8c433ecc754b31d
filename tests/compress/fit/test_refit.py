"""Fits of one coded factor to the other. Run: pytest tests/compress/fit/test_refit.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.compress.fit import refit
from deltakit.compress.fit.refit import Target, alternate, coded, unit
from deltakit.compress.fit.whiten import Inputs, whitened_svd
from deltakit.compress.hessian import Hessian
from support.inputs import moments


def delta(rows=60, columns=48, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.standard_normal((rows, 6)) @ rng.standard_normal((6, columns))
    return (low + 2 * rng.standard_normal((rows, columns))).astype(np.float32)


def weighed(d, u, s, v, gram):
    e = d.astype(np.float64) - (u.astype(np.float64) * s) @ v.T
    return float(((e @ gram) * e).sum())


def inputs(columns=48):
    return Inputs.of(Hessian(moments(columns)), 1e-3)


@pytest.mark.parametrize("known", [False, True])
def test_without_rounding_u_is_the_least_squares_optimum(known):
    """U* = delta H V (VᵀHV)⁻¹ against numpy's least squares over the outputs."""
    d, v = delta(), np.random.default_rng(1).standard_normal((48, 9)).astype(np.float32)
    side = inputs() if known else None
    view = Target(d, side).view(unit(v))
    got = coded(view.seen, view.gram, ["F32"] * 9)  # unit columns of the fit
    root = np.eye(48) if side is None else np.linalg.cholesky(side.gram.numpy()).T
    want = np.linalg.lstsq(root @ unit(v).numpy(), root @ d.T.astype(np.float64), rcond=None)[0].T
    want /= np.linalg.norm(want, axis=0)
    assert np.allclose(got, want, atol=2e-4 if known else 2e-5)


def test_without_rounding_v_does_not_depend_on_the_inputs():
    d, u = delta(), np.random.default_rng(2).standard_normal((60, 7)).astype(np.float32)
    want = np.linalg.lstsq(unit(u).numpy(), d.astype(np.float64), rcond=None)[0].T
    want /= np.linalg.norm(want, axis=0)
    for side in (None, inputs()):
        assert np.allclose(Target(d, side).right(unit(u), ["F32"] * 7), want, atol=2e-5)


@pytest.mark.parametrize("known", [False, True])
def test_scales_are_the_least_squares_scales_and_the_error_is_true(known):
    rng = np.random.default_rng(4)
    d, side = delta(), inputs() if known else None
    gram = np.eye(48) if side is None else side.gram.numpy()
    u, v = (rng.standard_normal((n, 7)).astype(np.float32) for n in d.shape)
    target = Target(d, side)
    s, error = target.scales(u, v, target.view(unit(v)))
    root = np.linalg.cholesky(gram)
    columns = np.stack([np.outer(u[:, k], root.T @ v[:, k]).ravel() for k in range(7)], axis=1)
    want = np.linalg.lstsq(columns, (d @ root).ravel(), rcond=None)[0]
    assert np.allclose(s, want, rtol=2**-8)  # stored as bfloat16
    assert error == pytest.approx(weighed(d, u, s, v, gram), rel=1e-6)


@pytest.mark.parametrize("known", [False, True])
def test_each_round_helps(known):
    d, codes, side = delta(96, 96, 5), [8, 3, *[2] * 22], inputs(96) if known else None
    gram = np.eye(96) if side is None else side.gram.numpy()
    target = Target(d, side)
    free = whitened_svd(target.delta, side, 24)[2]
    errors = [weighed(d, *alternate(target, target.first(free, codes), codes, rounds), gram) for rounds in (1, 2, 3)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.97 * errors[0]


def test_moments_of_white_inputs_are_no_moments():
    """One implementation: with H = 1 the outcome is that of the data-free path."""
    d, codes = delta(64, 64, 6), [8, 3, *[2] * 14]
    white = Inputs.of(Hessian(np.eye(64)), 1e-9)
    plain, known = Target(d), Target(d, white)
    free = whitened_svd(plain.delta, None, 16)[2]
    errors = [weighed(d, *alternate(t, t.first(free, codes), codes, 2), np.eye(64)) for t in (plain, known)]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)


def test_copies_and_zero_columns_do_no_harm():
    d = delta()
    v = np.zeros((48, 4), np.float32)
    v[:, 0] = v[:, 1] = np.random.default_rng(6).standard_normal(48)
    for side in (None, inputs()):
        target = Target(d, side)
        view = target.view(unit(v))
        u = coded(view.seen, view.gram, [2] * 4)
        s, error = target.scales(u, v, view)
        assert np.isfinite(u).all()
        assert np.isfinite(s).all()
        assert 0 <= error <= target.energy * (1 + 1e-9)


def test_unit_columns():
    made = unit(np.array([[3.0, 0.0], [4.0, 0.0]], np.float32))
    assert made.tolist() == [[0.6, 0.0], [0.8, 0.0]]


def test_float32_is_what_float64_is_but_for_rounding():
    d, codes = delta(96, 80, 7), ["F32"] * 12
    v = unit(np.random.default_rng(8).standard_normal((80, 12)).astype(np.float32))
    narrow = Target(d).view(v)
    wide = Target(d.astype(np.float64)).delta.double() @ v
    assert narrow.seen.dtype == torch.float32
    assert np.allclose(coded(narrow.seen, narrow.gram, codes), coded(wide, v.T @ v, codes), atol=1e-5)


def test_columns_that_depend_on_each_other_are_fitted_in_float64(monkeypatch):
    seen_dtypes = []
    fed = refit.fed
    monkeypatch.setattr(refit, "fed", lambda seen, *rest: seen_dtypes.append(seen.dtype) or fed(seen, *rest))
    v = np.random.default_rng(9).standard_normal((48, 6)).astype(np.float32)
    for copies in (v, np.concatenate([v, v[:, :2]], axis=1)):
        view = Target(delta()).view(unit(copies, torch.float32))
        assert np.isfinite(coded(view.seen, view.gram, [2] * copies.shape[1])).all()
    assert seen_dtypes == [torch.float32, torch.float64]
