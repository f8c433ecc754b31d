"""Election and disjoint mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import InputError, RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.elected_mean import ElectedMean
from support.flows import collect, flow


def merged(deltas, weights=None, scale=1.0):
    flows = tuple(flow({"t": d}) for d in deltas)
    weights = tuple(weights or [1.0] * len(deltas))
    return collect(ElectedMean().over(Group(flows, weights, lambda *_: np.zeros(1, np.float32), scale)))["t"]


def test_the_minority_and_the_zeros_do_not_count():
    assert merged([[2, 2, 0, 0], [4, -6, 0, 5], [0, 1, 0, 0]]).tolist() == [3, -6, 0, 5]


def test_weights_average_but_do_not_elect():
    assert merged([[2, 2], [4, -1]], [1, 3]).tolist() == [3.5, 2]


def test_lambda_scales_the_result():
    assert merged([[2.0, 4.0]], scale=0.5).tolist() == [1, 2]


@pytest.mark.parametrize(("votes", "first"), [([1, 1, 1], 3), ([-1, -1, -1], -3), ([0, 0, 0], -3)])
def test_zero_sums_take_the_sign_of_the_majority(votes, first):
    assert merged([[3, *votes], [-3, *votes]])[0] == first


def test_the_majority_is_that_of_the_whole_model():
    flows = tuple(flow({"a": [s * 3.0], "b": [[1.0], [1.0]]}) for s in (1, -1))
    made = ElectedMean().over(Group(flows, (1.0, 1.0), lambda *_: np.zeros(1, np.float32)))
    assert made.pull("a", 0, 1).ravel().tolist() == [3]


def test_with_scope_tensor_it_is_that_of_the_tensor():
    flows = tuple(flow({"a": [s * 3.0], "b": [[1.0], [1.0]]}) for s in (1, -1))
    made = ElectedMean("tensor").over(Group(flows, (1.0, 1.0), lambda *_: np.zeros(1, np.float32)))
    made.measure()
    assert made.pull("a", 0, 1).ravel().tolist() == [-3]
    with pytest.raises(RecipeError, match="scope"):
        ElectedMean("tenser")


def test_the_count_runs_ahead_with_progress():
    seen = []

    class Spy:
        def start(self, what, total, unit="B"):
            seen.append(total)

        def advance(self, n, note=""):
            seen.append(-n)

        def stop(self):
            pass

    flows = (flow({"t": np.ones((3, 2))}), flow({"t": np.ones((3, 2))}))
    made = ElectedMean().over(Group(flows, (1.0, 1.0), lambda *_: np.zeros(1, np.float32)))
    made.measure(Spy())
    assert seen == [6, -6]
    collect(made)
    assert seen == [6, -6]


floats = st.floats(-4, 4, width=16)


@given(st.lists(st.lists(floats, min_size=6, max_size=6), min_size=1, max_size=4))
def test_every_element_lies_between_its_deltas(deltas):
    made, stack = merged(deltas), np.float32(deltas)
    low, high = np.minimum(stack.min(axis=0), 0), np.maximum(stack.max(axis=0), 0)
    assert np.all((low - 1e-3 <= made) & (made <= high + 1e-3))
    assert np.all(made[(stack == 0).all(axis=0)] == 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(bad):
    with pytest.raises(InputError, match="'t'"):
        merged([[1, bad], [1, 1]])


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, -0.5]])
def test_weights_must_be_positive(weights):
    with pytest.raises(RecipeError, match="above 0"):
        ElectedMean().check(weights)


def test_a_lone_delta_is_its_own_mean():
    assert ElectedMean().coefficients([0.3]) == (1.0,)
    assert ElectedMean().coefficients([1.0, 1.0]) is None
