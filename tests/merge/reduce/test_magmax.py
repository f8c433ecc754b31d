"""MagMax by hand."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.magmax import MagMax
from support.flows import collect, flow


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_largest_is_taken_and_of_equal_ones_the_positive(order):
    deltas = [[1.0, -2.0, 0.0, 3.0], [-4.0, 2.0, 0.0, 0.5], [3.0, 1.0, 0.0, -3.0]]
    flows = tuple(flow({"t": deltas[i]}) for i in order)
    group = Group(flows, (1.0,) * 3, lambda *_: np.zeros(1, np.float32), 0.5)
    assert collect(MagMax().over(group), max_bytes=4)["t"].tolist() == [-2, 1, 0, 1.5]


def test_weights_are_refused():
    with pytest.raises(RecipeError, match="no weights"):
        MagMax().check([1.0, 0.5])
    assert MagMax().coefficients([1.0]) == (1.0,)
    assert MagMax().coefficients([1.0, 1.0]) is None
