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
