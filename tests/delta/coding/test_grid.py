"""Codes times scales, against one number at a time."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.coding.grid import middle, scaled


@pytest.mark.parametrize(
    ("shape", "group"), [((3, 8), 4), ((3, 9), 4), ((2, 3), 8), ((2, 5), 1), ((0, 4), 2), ((4, 0), 2)]
)
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_every_number_is_its_code_off_the_middle_times_its_scale(
    bits: int, zero: bool, shape: tuple[int, int], group: int
) -> None:
    rng = np.random.default_rng(bits)
    codes = rng.integers(0, 1 << bits, shape, dtype=np.uint8)
    scales = rng.standard_normal((shape[0], -(-shape[1] // group))).astype(np.float32)
    made = scaled(codes, scales, group, bits, zero)
    assert made.dtype == np.float32
    for i, j in np.ndindex(shape):
        assert made[i, j] == np.float32(codes[i, j] - float(middle(bits, zero))) * scales[i, j // group]


def test_the_middle_is_half_odd_without_a_zero() -> None:
    assert [middle(2, False), middle(2, True), middle(1, False)] == [1.5, 2.0, 0.5]
