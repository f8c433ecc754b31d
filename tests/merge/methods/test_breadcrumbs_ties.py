"""Breadcrumbs with TIES by hand; against slow versions it is tested beside breadcrumbs."""

import numpy as np
import pytest

from support.merging import plan, store, values


def test_outliers_and_crumbs_do_not_elect(tmp_path):
    base = store(tmp_path / "base", {"t": np.zeros((1, 4), np.float32)})
    one = store(tmp_path / "a", {"t": np.float32([[90, 3, -2, 0.1]])})
    two = store(tmp_path / "b", {"t": np.float32([[-1, -4, 80, -0.1]])})
    made = values(plan("breadcrumbs_ties", base, [one, two], density=0.5, gamma=0.25).tensors)["t"]
    assert made[0].tolist() == pytest.approx([-1, -4, -2, 0])
