"""A whole tensor of a pull."""

from __future__ import annotations

import numpy as np

from deltakit.merge.compute.whole import pull_whole
from deltakit.tensors import TensorSpec


def test_pull_whole_gives_all_rows() -> None:
    specs = {"a": TensorSpec((3, 2), "F32")}
    rows = pull_whole(lambda name, lo, hi: np.ones((hi - lo, 2), np.float32), specs, "a")
    assert rows.shape == (3, 2)
    assert rows.flags.c_contiguous
