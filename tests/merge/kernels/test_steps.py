"""Steps on one block: the masks of `deltakit.rng` at any start, thresholds, and the elected mean by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit import rng
from deltakit.merge.engine.program import Step, columns
from deltakit.merge.kernels.steps import BLOCK, DROP, TRIM, elect, finite, scratch, step

F = np.float32


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 2**64 - 1), st.integers(0, 10**12), st.integers(0, BLOCK), st.floats(0.01, 1.0))
def test_a_drop_keeps_what_the_defined_mask_keeps(key: int, start: int, size: int, density: float) -> None:
    x, table = np.ones(size, np.float32), columns([Step(DROP, key, rng.threshold(density) - 1, 3.0)])
    step(x, DROP, 0, scratch(1, 1, BLOCK)[1], start, table)
    np.testing.assert_array_equal(x, np.where(rng.keep_mask(key, start, start + size, density), F(3), F(0)))


def test_a_trim_keeps_magnitudes_from_the_threshold_on() -> None:
    x = np.array([-2, -1, -0.5, 0, 0.5, 1, 3], np.float32)
    step(x, TRIM, 0, scratch(1, 1, BLOCK)[1], 0, columns([Step(TRIM, value=1.0)]))
    np.testing.assert_array_equal(x, [-2, -1, 0, 0, 0, 1, 3])


@pytest.mark.parametrize(("tie", "last"), [(1, 3.0), (-1, -3.0)])
def test_an_election_averages_the_agreeing(tie: int, last: float) -> None:
    room, _ = scratch(2, 0, BLOCK)
    room[0, :4], room[1, :4] = [1, 2, 0, 3], [3, -1, 0, -3]
    total, share, signs = (room[i, :4] for i in (3, 4, 5))
    assert elect(total, share, signs, room, np.array([1, 3], np.float32), F(tie), F(1))
    np.testing.assert_array_equal(total, [2.5, 2, 0, last])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen(wrong: float) -> None:
    x = np.zeros(70, np.float32)
    assert finite(x)
    x[-1] = wrong
    assert not finite(x)
