"""Nearswap, element by element."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from support.merging import draw, plan, rounded, store, tune, values


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("based", [True, False])
def test_the_weight_is_t_over_the_difference(based, dtype, tmp_path):
    first = draw(0, dtype)
    second = tune(first, 1, dtype)
    a, b = store(tmp_path / "a", first, dtype), store(tmp_path / "b", second, dtype)
    made = values((plan("nearswap", a, [b], t=0.05) if based else plan("nearswap", None, [a, b], t=0.05)).tensors)
    for name, some in made.items():
        x, y = first[name].astype(np.float64), second[name].astype(np.float64)
        share = np.clip(0.05 / np.maximum(np.abs(x - y), 1e-30), 0, 1)
        want = rounded({"t": (1 - share) * x + share * y}, dtype)["t"]
        assert np.allclose(some, want, rtol=2**-20 if dtype == "F32" else 2**-7, atol=1e-7)
        near = np.abs(x - y) <= 0.049
        assert np.array_equal(some[near], second[name][near])


@pytest.mark.parametrize("t", [0.0, -1.0])
def test_a_reach_that_is_none(t, tmp_path):
    with pytest.raises(RecipeError, match="not above 0"):
        plan("nearswap", None, ["a", "b"], t=t)


def test_weights_are_refused():
    with pytest.raises(RecipeError, match="no weights"):
        plan("nearswap", None, [{"model": "a", "weight": 0.5}, "b"], t=0.1)
