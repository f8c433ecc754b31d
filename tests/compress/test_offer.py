"""A matrix under measurement. Run: pytest tests/compress/test_offer.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study
from deltakit.tensors import TensorSpec

ROWS = np.random.default_rng(0).standard_normal((9, 6)).astype(np.float32)


@pytest.mark.parametrize("rows", [ROWS, np.ascontiguousarray(ROWS.T)])
def test_the_spectrum_sums_to_the_energy(rows):
    study = Study(TensorSpec(rows.shape, "BF16"), rows)
    assert study.spectrum.sum() == pytest.approx(study.energy)
    assert study.spectrum[0] == pytest.approx(np.linalg.svd(rows)[1][0] ** 2, rel=1e-5)


def test_with_inputs_the_spectrum_is_that_of_the_outputs():
    x = np.random.default_rng(1).standard_normal((40, 6))
    study = Study(TensorSpec((9, 6), "BF16"), ROWS, Hessian(x.T @ x, 1, 40))
    outputs = x @ ROWS.T.astype(np.float64)
    assert study.spectrum.sum() == pytest.approx(study.energy)
    assert study.energy == pytest.approx(float((outputs**2).sum()) / 40)
    assert study.spectrum[0] == pytest.approx(np.linalg.svd(outputs)[1][0] ** 2 / 40)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("tokens", [40, 4])  # 4: moments of lower rank than there are inputs
@pytest.mark.parametrize("shape", [(9, 6), (6, 9)])
def test_moments_of_either_axis_and_any_rank(shape, tokens, axis):
    rows = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    x = np.random.default_rng(3).standard_normal((tokens, shape[axis]))
    study = Study(TensorSpec(shape, "BF16"), rows, Hessian(x.T @ x, axis, tokens))
    outputs = x @ (rows.T if axis == 1 else rows).astype(np.float64)
    want = np.zeros(min(shape))
    found = np.linalg.svd(outputs)[1][: min(shape)] ** 2 / tokens
    want[: len(found)] = found
    assert study.energy == pytest.approx(float((outputs**2).sum()) / tokens)
    assert np.allclose(study.spectrum[: len(want)], want, atol=1e-6 * want[0])


def test_large_matrices_are_measured_in_float32():
    rows = np.random.default_rng(4).standard_normal((1030, 1100)).astype(np.float32) / 30
    study = Study(TensorSpec(rows.shape, "BF16"), rows)
    assert study.spectrum.shape == (1030,)
    assert study.spectrum.sum() == pytest.approx(study.energy, rel=1e-4)
    assert study.energy == pytest.approx(float((rows.astype(np.float64) ** 2).sum()))


@pytest.mark.parametrize("axis", [0, 1])
def test_the_spread_is_the_energy_for_inputs_that_do_not_depend_on_each_other(axis):
    scales = np.random.default_rng(5).uniform(0.1, 3, ROWS.shape[axis])
    alone = Study(TensorSpec((9, 6), "BF16"), ROWS, Hessian(np.diag(scales) * 7, axis, 7))
    assert alone.spread == pytest.approx(alone.energy)
    assert Study(TensorSpec((9, 6), "BF16"), ROWS).spread == pytest.approx(float((ROWS.astype(np.float64) ** 2).sum()))
