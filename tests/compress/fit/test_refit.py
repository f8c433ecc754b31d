"""Fits of one coded factor to the other. Run: pytest tests/compress/test_refit.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.compress.fit.grids import quantise
from deltakit.compress.fit.refit import carried, code_columns, fit_scales, refit, unit
from deltakit.delta.coding.factor import midrise
from deltakit.delta.measure.decompose import svd


def delta(rows=60, columns=48, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.standard_normal((rows, 6)) @ rng.standard_normal((6, columns))
    return (low + 2 * rng.standard_normal((rows, columns))).astype(np.float32)


def squared(d, u, s, v):
    return float(((d.astype(np.float64) - (u.astype(np.float64) * s) @ v.T) ** 2).sum())


def test_without_rounding_the_refit_is_the_least_squares_fit():
    d, v = delta(), np.random.default_rng(1).standard_normal((48, 9)).astype(np.float32)
    got = refit(torch.from_numpy(d), v, ["F32"] * 9)  # unit columns of the fit
    want = np.linalg.lstsq(v.astype(np.float64), d.T.astype(np.float64), rcond=None)[0].T
    want /= np.linalg.norm(want, axis=0)
    assert np.allclose(got, want, atol=1e-5)


def test_carrying_errors_over_is_the_obvious_recursion():
    """Code a column, then fit the columns behind it anew to what is left: that is what the closed form does."""
    d, v = delta(40, 30).astype(np.float64), np.random.default_rng(2).standard_normal((30, 5))
    v /= np.linalg.norm(v, axis=0)
    left, want = d.copy(), []
    for k in range(5):
        fit = np.linalg.lstsq(v[:, k:], left.T, rcond=None)[0]
        codes, scale = quantise(fit[0], 2)
        want.append(midrise(2)[codes])
        left -= scale * np.outer(want[-1], v[:, k])
    gram = torch.from_numpy(v.T @ v)
    target = torch.linalg.solve(gram, torch.from_numpy((d @ v).T)).numpy()
    upper = torch.linalg.cholesky(torch.linalg.inv(gram), upper=True)
    assert np.array_equal(carried(target, upper, [2] * 5), np.array(want).T)


def test_blocks_of_columns_change_nothing(monkeypatch):
    d = torch.from_numpy(delta())
    v = np.random.default_rng(3).standard_normal((48, 40)).astype(np.float32)
    whole = refit(d, v, [2] * 40)
    monkeypatch.setattr("deltakit.compress.fit.refit._COLUMNS", 7)
    assert (refit(d, v, [2] * 40) == whole).mean() > 0.999


def test_scales_are_the_least_squares_scales_and_the_error_is_true():
    rng = np.random.default_rng(4)
    d = delta()
    u, v = (rng.standard_normal((n, 7)).astype(np.float32) for n in d.shape)
    s, error = fit_scales(torch.from_numpy(d), u, v)
    columns = np.stack([np.outer(u[:, k], v[:, k]).ravel() for k in range(7)], axis=1).astype(np.float64)
    want = np.linalg.lstsq(columns, d.ravel().astype(np.float64), rcond=None)[0]
    assert np.allclose(s, want, rtol=2**-8)  # stored as bfloat16
    assert error == pytest.approx(squared(d, u, s, v), rel=1e-6)


def test_each_step_helps():
    """Plain rounding, + scales, + U refitted with carried errors, + V and U again."""
    d = delta(96, 96, 5)
    codes = [8, 3, *[2] * 22]
    t = torch.from_numpy(d)
    u, s, v = svd(d, 24)
    right, plain = code_columns(v, codes), code_columns(u, codes)
    norm = np.linalg.norm(plain, axis=0) * np.linalg.norm(right, axis=0)
    errors = [squared(d, plain, s / norm, right), fit_scales(t, plain, right)[1]]
    left = refit(t, right, codes)
    errors.append(fit_scales(t, left, right)[1])
    for _ in range(2):
        right = refit(t.T.contiguous(), left, codes)
        left = refit(t, right, codes)
        errors.append(fit_scales(t, left, right)[1])
    assert all(after < before for before, after in zip(errors, errors[1:], strict=False)), errors
    assert errors[-1] < 0.9 * errors[0]


def test_copies_and_zero_columns_do_no_harm():
    d = torch.from_numpy(delta())
    v = np.zeros((48, 4), np.float32)
    v[:, 0] = v[:, 1] = np.random.default_rng(6).standard_normal(48)
    left = refit(d, v, [2] * 4)
    s, error = fit_scales(d, left, v)
    assert np.isfinite(left).all()
    assert np.isfinite(s).all()
    assert 0 <= error <= float((d.double() ** 2).sum()) * (1 + 1e-9)


def test_unit_columns():
    made = unit(np.array([[3.0, 0.0], [4.0, 0.0]], np.float32))
    assert made.tolist() == [[0.6, 0.0], [0.8, 0.0]]


def test_float_columns_are_unit_vectors_rounded():
    made = code_columns(np.array([[3.0], [4.0]], np.float32), ["BF16"])
    assert made.ravel().tolist() == [0.6015625, 0.80078125]
