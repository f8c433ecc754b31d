"""SCE by hand: what is selected, how models are weighed, what is erased."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.compute.arithmetic import FLOAT32
from deltakit.merge.method import Group
from deltakit.merge.reduce.sce import Sce
from support.flows import collect, flow


def merged(deltas, topk=1.0, scale=1.0, **kinds):
    flows = tuple(flow({"t": d}) for d in deltas)
    group = Group(flows, (1.0,) * len(flows), lambda *_: np.zeros(1, np.float32), scale, (), FLOAT32)
    return collect(Sce(topk, **kinds).over(group), max_bytes=8)["t"]


def test_models_are_weighed_by_their_mean_squares():
    assert merged([[3.0, 0.0], [1.0, 0.0]]).tolist() == pytest.approx([(9 * 3 + 1 * 1) / 10, 0])


def test_the_minority_sign_is_erased_and_lambda_scales():
    assert merged([[3.0, 4.0], [-1.0, 0.0]], scale=0.5).tolist() == pytest.approx([1.5, 2.0])


def test_the_share_is_of_the_positions_that_vary_and_ties_are_selected_from_the_front():
    made = merged([[2.0, 2.0, 5.0, 9.0, 0.0], [-2.0, -2.0, 5.0, 8.0, 0.0]], 0.34)  # 3 vary, one is selected
    assert made[1:].tolist() == [0, 0, 0, 0]
    assert merged([[3.0, 3.0, 1.0], [1.0, 1.0, 1.0]], 0.5).tolist() == pytest.approx([2.8, 0, 0])


@pytest.mark.parametrize(("stepwise", "want"), [(False, [0.0, 0.0]), (True, [2.0, 2.0])])
def test_a_sum_of_zero_has_no_minority_but_counts_as_plus_in_mergekit(stepwise, want):
    assert merged([[2.0, -2.0], [-2.0, 2.0]], stepwise=stepwise).tolist() == want


def test_mergekit_weighs_small_tensors_equally():
    deltas = [[3e-4, 0.0], [1e-4, 0.0]]
    assert merged(deltas).tolist() == pytest.approx([2.8e-4, 0])
    assert merged(deltas, stepwise=True).tolist() == pytest.approx([2e-4, 0])


@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize("topk", [0.0, 1e-6, 0.5, 1.0])
def test_models_that_do_not_differ_are_finite(topk, stepwise):
    assert not merged([np.zeros((3, 2))] * 2, topk, stepwise=stepwise).any()
    assert np.isfinite(merged([np.ones((3, 2))] * 2, topk, stepwise=stepwise)).all()


def test_bad_parameters():
    with pytest.raises(RecipeError, match="select_topk"):
        Sce(1.5)
    with pytest.raises(RecipeError, match="no weights"):
        Sce(0.5).check([0.5, 0.5])
    assert Sce(0.5).coefficients([1.0]) is None
    assert Sce(1.0).coefficients([1.0]) == (1.0,)
