"""Linear reducers."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.weighted_sum import WeightedMean, WeightedSum
from support.flows import collect, flow

ONE, TWO = {"t": [[1.0, 2.0], [3.0, 4.0]]}, {"t": [[10.0, 0.0], [0.0, -10.0]]}
BASE = np.array([[100.0, 200.0], [300.0, 400.0]], np.float32)


def group(weights, scale=1.0):
    return Group((flow(ONE), flow(TWO)), weights, lambda name, lo, hi: BASE[lo:hi], scale)


def test_the_sum():
    assert collect(WeightedSum().over(group((2.0, 0.5), 10.0)))["t"].tolist() == [[70.0, 40.0], [60.0, 30.0]]


def test_the_mean():
    assert collect(WeightedMean().over(group((1.0, 3.0))))["t"].tolist() == [[7.75, 0.5], [0.75, -6.5]]


def test_without_normalizing_the_base_is_scaled_too():
    made = collect(WeightedMean(normalize=False).over(group((1.0, 1.0))))["t"]
    assert made.tolist() == (np.array([[11.0, 2.0], [3.0, -6.0]]) + BASE).tolist()


def test_coefficients_say_the_same_as_the_sum():
    weights = (0.3, 0.5)
    for reducer, scale in [(WeightedSum(), 0.7), (WeightedMean(), 1.0)]:
        a, b = (np.float32(scale * c) for c in reducer.coefficients(weights))
        want = a * np.float32(ONE["t"]) + b * np.float32(TWO["t"])
        assert np.array_equal(collect(reducer.over(group(weights, scale)))["t"], want)


def test_a_plain_sum_of_weights_is_an_expression_only_if_it_is_one():
    assert WeightedMean(normalize=False).coefficients((0.25, 0.75)) == (0.25, 0.75)
    assert WeightedMean(normalize=False).coefficients((1.0, 1.0)) is None


def test_weights_that_cancel():
    WeightedSum().check([1.0, -1.0])
    WeightedMean(normalize=False).check([1.0, -1.0])
    with pytest.raises(RecipeError, match="sum to 0"):
        WeightedMean().check([1.0, -1.0])
