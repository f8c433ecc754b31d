"""A load is plain data."""

from deltakit.merge import METHODS
from deltakit.merge.plan.load import Load
from deltakit.tensors import TensorSpec


def test_a_load_is_linear_only_where_it_says_so():
    load = Load("ties", "paper", METHODS.make("ties"), 3, (TensorSpec((2, 3), "BF16"),))
    assert not load.linear
