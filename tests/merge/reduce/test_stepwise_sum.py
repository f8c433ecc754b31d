"""mergekit's sum: what torch computes in the dtype, bit for bit."""

import numpy as np
import pytest
import torch

from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.method import Group
from deltakit.merge.reduce.stepwise_sum import StepwiseSum
from support.flows import collect, flow
from support.oracles import TORCH, stepwise

WEIGHTS = (0.7, 0.4, 1.3)


def draws(dtype):
    rng = np.random.default_rng(0)
    coarse = [np.round(rng.standard_normal((63, 7)) * 8) / 64 * (rng.random((63, 7)) < 0.7) for _ in WEIGHTS]
    return [torch.from_numpy(c).to(TORCH[dtype]) for c in coarse]  # many exact cancellations


def summed(taus, dtype, weights, scale=1.0, **kinds):
    flows = tuple(flow({"t": t.float().numpy()}) for t in taus)
    group = Group(flows, weights, lambda *_: np.zeros(1, np.float32), scale, (), Arithmetic(dtype))
    return collect(StepwiseSum(**kinds).over(group), max_bytes=100)["t"]


@pytest.mark.parametrize("kinds", [{}, {"normalize": True}, {"elect": True}, {"normalize": True, "elect": True}])
@pytest.mark.parametrize("weights", [WEIGHTS, (1.0, -1.0, 0.5), (0.5, 0.0, 0.5), (1.0, -1.0, 0.0)])
def test_against_torch(dtype, weights, kinds):
    taus = draws(dtype)
    want = stepwise(taus, weights, scale=0.8, **kinds).float().numpy()
    assert np.array_equal(summed(taus, dtype, weights, 0.8, **kinds), want)


def test_a_sum_of_zero_counts_as_plus():
    taus = [torch.tensor([2.0, -3.0]), torch.tensor([-2.0, 3.0])]
    assert summed(taus, "F32", (1.0, 1.0), elect=True).tolist() == [2.0, 3.0]


def test_weights_are_of_the_dtype():
    assert summed([torch.tensor([1.0])], "BF16", (0.3,)).tolist() == [0.30078125]


def test_it_is_no_mere_sum():
    assert StepwiseSum().coefficients((1.0, 2.0)) is None
    assert not StepwiseSum().unbiased
