"""Consensus by hand: which positions are used."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.consensus import Consensus
from support.flows import collect, flow

DELTAS = [[4.0, 1.0, 0.0, 2.0], [1.0, 1.0, 3.0, -2.0]]


def merged(**given):
    group = Group(tuple(flow({"t": d}) for d in DELTAS), (1.0, 1.0), lambda *_: np.zeros(1, np.float32), 0.5)
    return collect(Consensus(**given).over(group), max_bytes=4)["t"].tolist()


def test_positions_that_too_few_use_are_left_out():
    assert merged(threshold=0.5, k=2) == [0, 1, 0, 0]
    assert merged(threshold=0.2, k=2) == [2.5, 1, 0, 0]
    assert merged(threshold=0.5, k=1) == [2.5, 1, 1.5, 0]


@pytest.mark.parametrize("given", [{"threshold": -0.1}, {"k": -1}])
def test_bad_parameters(given):
    with pytest.raises(RecipeError):
        Consensus(**given)


def test_more_than_all_models_cannot_agree():
    with pytest.raises(RecipeError, match="used by 3 of 2"):
        Consensus(k=3).check([1.0, 1.0])
    assert Consensus(k=0).coefficients([0.5, 2.0]) == (0.5, 2.0)
    assert Consensus(k=1).coefficients([0.5, 2.0]) is None
