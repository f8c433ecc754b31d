"""The compiled mask against rng.py and numpy's scatter."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit import rng
from deltakit.delta.coding.kernels.kept import expand, fill

KEY = 0xFEDCBA9876543210


@pytest.mark.parametrize("threshold", [1, 1 << 20, 1 << 30, 3 << 30, 1 << 32])
@pytest.mark.parametrize(("start", "skip", "size"), [(0, 0, 5000), (65536, 3, 4097), (2, 2049, 1), (10, 4096, 2048)])
def test_the_survivors_lie_where_the_lanes_say(start: int, skip: int, size: int, threshold: int) -> None:
    mask = rng.lanes(KEY, start, start + skip + size) <= np.uint32(threshold - 1)
    values = np.random.default_rng(0).standard_normal(int(mask.sum()) + 1).astype(np.float32)
    want = np.zeros(skip + size, np.float32)
    want[mask] = values[: mask.sum()]
    out = np.full(size, 9, np.float32)
    assert fill(out, values, np.uint64(KEY), np.uint64(threshold - 1), start, skip) == mask.sum()
    np.testing.assert_array_equal(out.view(np.uint32), want[skip:].view(np.uint32))
    if mask.sum():
        short = values[: mask.sum() - 1]
        assert not short.size or fill(out, short, np.uint64(KEY), np.uint64(threshold - 1), start, skip) == -1


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_values_go_where_the_mask_is_one(share: float) -> None:
    rand = np.random.default_rng(0)
    kept = (rand.random(1001) < share).astype(np.uint8)
    kept[-1] = 0
    values = -np.ones(int(kept.sum()), np.float32)
    want, out = np.zeros(1001, np.float32), np.full(1001, 9, np.float32)
    want[kept.view(bool)] = values
    expand(out, kept, values)
    np.testing.assert_array_equal(out.view(np.uint32), want.view(np.uint32))
