"""What calibration is for: a direction that two tasks share is counted once, and one of a single task stays."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge import METHODS
from deltakit.merge.method import Group
from deltakit.merge.reduce.calibrated import Calibrated
from deltakit.recipe.parameters import parse_checked
from support.flows import collect, flow


def test_what_is_shared_is_counted_once() -> None:
    one, two = np.zeros((2, 4, 5), np.float32)
    one[0, 0] = two[0, 0] = 3.0
    one[1, 1] = 2.0
    group = Group(tuple(flow({"a.weight": d}) for d in (one, two)), (1.0, 1.0), lambda *_: np.zeros((1, 1), np.float32))
    made = collect(Calibrated(parse_checked(METHODS, "task_arithmetic")).over(group))["a.weight"]
    want = np.zeros((4, 5), np.float32)
    want[0, 0], want[1, 1] = 3.0, 2.0
    assert np.allclose(made, want, atol=1e-6)


@pytest.mark.parametrize("given", [{"alpha": 0.0}, {"merger": "linear"}, {"merger": "dare_linear(density=0.5)"}])
def test_what_it_cannot_work_behind_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        METHODS.make("svc", **given)
