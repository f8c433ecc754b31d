"""Trimming each tensor to an exact count."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.sparsify.topk import TopK
from support.flows import collect, flow


@pytest.mark.parametrize("density", [0.01, 0.3, 0.99])
def test_exactly_the_share_is_kept_though_elements_tie(density):
    values = np.random.default_rng(0).integers(1, 4, (31, 7)).astype(np.float32)
    made = collect(TopK(density).on(flow({"a": values, "b": values[:, 0]})), max_bytes=100)
    for name, like in (("a", values), ("b", values[:, 0])):
        assert np.count_nonzero(made[name]) == max(1, int(density * like.size))
        assert np.all((made[name] == 0) | (made[name] == like))
        assert np.abs(like[made[name] == 0]).max() <= np.abs(made[name][made[name] != 0]).min()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (), (1,), (2, 1), (63,)])
def test_a_tiny_density_keeps_one_element_and_ends_no_run(shape):
    made = collect(TopK(1e-6).on(flow({"t": np.ones(shape)})))["t"]
    assert np.count_nonzero(made) == min(1, made.size)


def test_density_zero_keeps_nothing():
    assert not collect(TopK(0.0).on(flow({"t": np.ones((3, 4))})))["t"].any()


def test_traits():
    assert TopK(1.0).idle
    assert TopK(1.0).unbiased
    assert not TopK(0.5).unbiased


@pytest.mark.parametrize("density", [-0.1, 1.1])
def test_bad_parameters(density):
    with pytest.raises(RecipeError, match="not in"):
        TopK(density)
