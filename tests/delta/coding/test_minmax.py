"""Asymmetric grids as they are stored. Run: pytest tests/delta/coding/test_minmax.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.coding.minmax import MinMax, minmax_size


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
@pytest.mark.parametrize(("height", "width", "group"), [(3, 10, 4), (1, 1, 128), (5, 8, 8), (0, 6, 2), (2, 0, 2)])
def test_numbers_come_back(bits, height, width, group):
    rng, groups = np.random.default_rng(0), -(-width // group)
    codes = rng.integers(0, 1 << bits, (height, width), np.uint8)
    zeros = rng.integers(0, 1 << bits, (height, groups), np.uint8)
    scales = rng.random((height, groups)).astype(np.float16)
    made = MinMax.of(codes, zeros, scales, group, bits)
    want = np.zeros((height, width), np.float32)
    for i in range(height):
        for j in range(width):
            want[i, j] = np.float32(scales[i, j // group]) * (float(codes[i, j]) - float(zeros[i, j // group]))
    assert np.array_equal(made.values(), want)
    assert made.raw.nbytes == minmax_size(height, width, bits, group)


def test_golden_bytes():
    made = MinMax.of(np.array([[0, 1, 2, 3, 1]], np.uint8), np.array([[1, 2]], np.uint8), np.ones((1, 2)), 4, 2)
    assert bytes(made.raw) == bytes.fromhex("003c003c" + "09" + "e401")
    assert made.values().tolist() == [[-1.0, 0.0, 1.0, 2.0, -1.0]]


def test_a_scale_and_a_zero_per_group_are_counted():
    assert minmax_size(1, 128, 2, 128) * 8 == 2 * 128 + 16 + 8  # two bits of zero in a byte
    assert minmax_size(64, 128, 2, 128) * 8 == 64 * (2 * 128 + 16 + 2)
