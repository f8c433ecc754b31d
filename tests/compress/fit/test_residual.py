"""The spectrum that signs leave, against the decomposition."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.fit.residual import noise_spectrum, residual_spectrum
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study
from deltakit.tensors import TensorSpec


def mixed(shape, share):
    rng = np.random.default_rng(0)
    flat = rng.standard_normal(shape)
    low = rng.standard_normal((shape[0], 40)) * np.arange(1, 41.0) ** -0.6 @ rng.standard_normal((40, shape[1]))
    made = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat / np.linalg.norm(flat)
    return made.astype(np.float32)


def measured(rows):
    left = rows - np.abs(rows).mean() * np.sign(rows)
    return np.linalg.svd(left.astype(np.float64), compute_uv=False) ** 2


@pytest.mark.parametrize("shape", [(200, 200), (300, 120), (120, 300)])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_estimate_is_near(shape, share):
    rows = mixed(shape, share)
    found, true = residual_spectrum(Study(TensorSpec(shape, "BF16"), rows)), measured(rows)
    assert len(found) == len(true)
    assert found.sum() == pytest.approx(true.sum(), rel=1e-4)
    for rank in (5, 20, 60):
        assert found[rank:].sum() == pytest.approx(true[rank:].sum(), rel=0.2)


def test_with_inputs_it_is_measured():
    rows, x = mixed((60, 40), 0.3), np.random.default_rng(1).standard_normal((100, 40))
    study = Study(TensorSpec(rows.shape, "BF16"), rows, Hessian(x.T @ x, 1, 100))
    left = (rows - np.abs(rows).mean() * np.sign(rows)) @ x.T / 10
    assert residual_spectrum(study) == pytest.approx(
        np.linalg.svd(left, compute_uv=False)[:40] ** 2, rel=1e-3, abs=1e-8
    )


def test_noise_has_the_spectrum_of_noise():
    for shape in ((300, 300), (300, 100)):
        true = np.linalg.svd(np.random.default_rng(2).standard_normal(shape), compute_uv=False) ** 2
        found = noise_spectrum(*shape)
        assert found.sum() == pytest.approx(shape[0] * shape[1], rel=0.01)
        assert np.abs(found - true).max() < 0.03 * true[0]


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 4)])
def test_nothing_leaves_nothing(shape):
    assert not residual_spectrum(Study(TensorSpec(shape, "BF16"), np.zeros(shape, np.float32))).any()
