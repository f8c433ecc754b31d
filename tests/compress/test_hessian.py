"""Errors weighed by inputs. Run: pytest tests/compress/test_hessian.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.hessian import Hessian


@pytest.mark.parametrize("axis", [0, 1])
def test_the_error_is_that_of_the_outputs(axis):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 7))
    off = rng.standard_normal((5, 7)).astype(np.float32)
    hessian = Hessian(x.T @ x, axis, 50)
    want = float(((x @ off.T.astype(np.float64)) ** 2).sum())
    assert hessian.error(off if axis == 1 else np.ascontiguousarray(off.T)) == pytest.approx(want)
