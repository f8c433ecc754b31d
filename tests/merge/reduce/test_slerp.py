"""Spherical interpolation."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.slerp import Slerp
from support.flows import collect, flow


def between(a, b, t):
    a, b = np.float32(a), np.float32(b)
    group = Group((flow({"t": b - a}),), (1.0,), lambda name, lo, hi: a.reshape(len(a), -1)[lo:hi])
    return a + collect(Slerp(t).over(group))["t"]


def test_orthogonal_unit_vectors_stay_on_the_circle():
    made = between([1.0, 0.0], [0.0, 1.0], 1 / 3)
    assert made == pytest.approx([np.cos(np.pi / 6), np.sin(np.pi / 6)], abs=1e-6)


def test_the_factors_apply_to_the_tensors_as_they_are():
    assert between([2.0, 0.0], [0.0, 6.0], 0.5) == pytest.approx(np.sqrt(0.5) * np.array([2.0, 6.0]), abs=1e-5)


def test_near_parallel_tensors_are_interpolated_linearly():
    assert between([1.0, 2.0], [3.0, 6.0], 0.25) == pytest.approx([1.5, 3.0])


def test_opposite_tensors_are_interpolated_linearly():
    assert between([1.0, 2.0], [-1.0, -2.0], 0.25) == pytest.approx([0.5, 1.0])


def test_zero_tensors_are_interpolated_linearly():
    assert between([0.0, 0.0], [4.0, 8.0], 0.25) == pytest.approx([1.0, 2.0])


def test_equal_tensors_stay_bit_for_bit():
    a = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    assert np.array_equal(between(a, a, 0.3), a)


def test_the_ends_are_the_models():
    assert Slerp(0.0).coefficients([1.0]) == (0.0,)
    assert Slerp(1.0).coefficients([1.0]) == (1.0,)
    assert Slerp(0.5).coefficients([1.0]) is None


@pytest.mark.parametrize("t", [-0.1, 1.1, float("nan")])
def test_t_out_of_range(t):
    with pytest.raises(RecipeError, match="not in"):
        Slerp(t)


def test_weights_are_refused():
    with pytest.raises(RecipeError, match="takes no weights"):
        Slerp(0.5).check([0.5, 0.5])
