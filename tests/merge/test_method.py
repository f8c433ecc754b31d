"""What a composition declares follows from its parts."""

from deltakit.merge.method import Method
from deltakit.merge.reduce.elected_mean import ElectedMean
from deltakit.merge.reduce.slerp import Slerp
from deltakit.merge.reduce.weighted_sum import WeightedSum
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.trim import Trim


def test_a_method_is_unbiased_if_all_its_parts_are():
    assert Method(WeightedSum(), each=(Drop(0.5),)).unbiased
    assert not Method(WeightedSum(), each=(Drop(0.5, rescale=False),)).unbiased
    assert not Method(WeightedSum(), each=(Drop(0.5),), post=(Trim(0.5),)).unbiased
    assert not Method(ElectedMean(), each=(Drop(0.5),)).unbiased


def test_symmetry_is_the_reducers():
    assert Method(WeightedSum()).symmetric
    assert not Method(Slerp(0.5)).symmetric
