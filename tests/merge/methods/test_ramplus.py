"""RAM+ without a factor is RAM; against slow versions it is tested beside ram."""

from support.merging import family, plan
from support.tensors import whole


def test_without_a_factor_it_is_ram(tmp_path):
    base, models = family(tmp_path, 3)
    assert whole(plan("ramplus", base, models, r=0.0).tensors) == whole(plan("ram", base, models).tensors)
    assert whole(plan("ramplus", base, models).tensors) != whole(plan("ram", base, models).tensors)
