"""Look-ups of packed signs against the product. Run: pytest tests/tenants/kernels/test_signs.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.tenants.kernels.signs import signed_sums


@pytest.mark.parametrize(("tokens", "rows", "columns"), [(1, 5, 8), (3, 7, 72), (2, 1, 32), (2, 3, 0), (0, 3, 16)])
def test_sums_are_products_with_the_signs(tokens: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((tokens, columns)).astype(np.float32)
    plus = rng.random((rows, columns)) < 0.5
    out = np.full((tokens, rows), np.nan, np.float32)
    signed_sums(out, x, np.packbits(plus, axis=1, bitorder="little"))
    np.testing.assert_allclose(out, x @ (2.0 * plus - 1).T, rtol=1e-5, atol=1e-5)


def test_a_tokens_sums_do_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(1)
    x, signs = rng.standard_normal((4, 64)).astype(np.float32), rng.integers(0, 256, (9, 8), dtype=np.uint8)
    every, one = np.empty((4, 9), np.float32), np.empty((1, 9), np.float32)
    signed_sums(every, x, signs)
    signed_sums(one, x[2:3], signs)
    assert np.array_equal(every[2:3], one)
