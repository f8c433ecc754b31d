"""One stored factor. Run: pytest tests/delta/test_factor.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.coding.factor import Code, Factor, factor_size, is_code, midrise


@pytest.mark.parametrize("code", [*range(1, 9), "F16", "BF16", "F32"])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (63, 5), (40, 0)])
def test_any_rows_of_any_code(code: Code, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    if isinstance(code, int):
        values = rng.integers(0, 1 << code, shape, dtype=np.uint8)
        want = midrise(code)[values]
    else:
        want = values = rng.integers(-9, 9, shape).astype(np.float32)
    factor = Factor.of(values, code)
    assert factor.raw.nbytes == factor_size(*shape, code)
    assert np.array_equal(factor.rows(0, shape[0]), want)
    if shape[0] > 20:
        assert np.array_equal(factor.rows(11, 20), want[11:20])
        assert np.array_equal(factor.gather([20, 3, 3]), want[[20, 3, 3]])
    assert factor.gather([]).shape == (0, shape[1])


@pytest.mark.parametrize("code", [0, 9, True, 2.0, "F8_E4M3", "I8", None])
def test_what_is_no_code(code: object) -> None:
    assert not is_code(code)
