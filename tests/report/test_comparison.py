"""The grid of a comparison."""

import math

import pytest

from deltakit.errors import InputError
from deltakit.report.comparison import read_comparison
from support.results import comparison


def test_tensors_stand_at_layer_and_module():
    found = read_comparison(comparison(2), "here")
    assert found.layers == [0, 1]
    assert found.modules == ["mlp.down_proj", "mlp.up_proj", "self_attn.q_proj"]
    assert found.grid() == [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]]
    assert found.outside == {"model.embed_tokens.weight": 0.5}
    assert (found.first, found.second, found.total) == ("base", "math", 0.123)


def test_a_module_that_a_layer_lacks_is_no_number():
    given = comparison(2)
    del given["tensors"][-1]
    grid = read_comparison(given, "here").grid()
    assert math.isnan(grid[1][2])
    assert grid[0][2] == 0.03


def test_other_layouts_of_names():
    names = ["transformer.h.11.attn.c_attn.weight", "transformer.h.2.attn.c_attn.bias", "wte.weight"]
    given = {**comparison(0), "tensors": [{"name": n, "relative": 0.1} for n in names]}
    found = read_comparison(given, "here")
    assert found.layers == [2, 11]
    assert found.modules == ["attn.c_attn", "attn.c_attn.bias"]
    assert list(found.outside) == ["wte.weight"]


@pytest.mark.parametrize("broken", [{}, {"tensors": [{}], "summary": {}}, {**comparison(), "tensors": 3}])
def test_what_is_no_comparison_is_refused(broken):
    with pytest.raises(InputError, match="no comparison"):
        read_comparison(broken, "here")
