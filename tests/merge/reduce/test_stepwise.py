"""What reducers rounded step by step share."""

import numpy as np
import pytest

from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.reduce.stepwise import Stepper, Stepwise, length
from support.stepwise import drawn, grouped


def test_they_take_every_step_whatever_the_weights():
    Stepwise().check([0.0, -1.0])
    assert Stepwise().coefficients([1.0]) is None


@pytest.mark.parametrize(("vectors", "shape"), [("tensor", (1, 1)), ("row", (9, 1)), ("column", (1, 7))])
def test_sums_over_the_models_rows(vectors, shape):
    base, models = drawn(2, "BF16")
    group = grouped(base, models, "BF16", True)
    stepper = Stepper(group, group.models, vectors)
    found = stepper.sums(lambda *at: stepper.rows(*at)).of("head.weight", 0, 9)
    assert found.shape == (2, *shape)
    assert found.sum() == pytest.approx(sum(float(m["head.weight"].sum(dtype=np.float64)) for m in models))
    assert stepper.base("up.weight", 2, 4).shape == (2, 9, 2)


def test_lengths_are_rounded():
    assert length(np.array([2.0]), Arithmetic("BF16")).tolist() == [1.4140625]
