"""One model's rows times a number."""

import numpy as np

from deltakit.merge.method import Group
from deltakit.merge.reduce.scaled_model import ScaledModel
from support.flows import collect, flow


def test_the_models_rows_not_the_deltas():
    model = flow({"t": np.float32([[2.0, -4.0]])})
    group = Group((flow({"t": np.ones((1, 2))}),), (1.0,), model.pull, models=(model.pull,))
    assert collect(ScaledModel(0.5).over(group))["t"].tolist() == [[1.0, -2.0]]


def test_it_is_a_mere_model_at_factor_one():
    assert ScaledModel().coefficients([1.0]) == (1.0,)
    assert ScaledModel(2.0).coefficients([1.0]) is None
