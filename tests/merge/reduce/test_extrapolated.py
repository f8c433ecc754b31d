"""Extrapolation is a sum with larger coefficients."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.extrapolated import Extrapolated
from support.flows import collect, flow


def test_the_change_grows():
    group = Group((flow({"t": [2.0, -4.0]}),), (1.0,), lambda *_: np.zeros(1, np.float32))
    assert collect(Extrapolated(0.5).over(group))["t"].tolist() == [3, -6]
    assert Extrapolated(0.5).coefficients([1.0, 2.0]) == (1.5, 3.0)


def test_backwards_is_refused():
    with pytest.raises(RecipeError, match="below 0"):
        Extrapolated(-0.5)
