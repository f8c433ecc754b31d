"""DARE: the mask, the rescaling, and that neither depends on how the tensor is read."""

import numpy as np
import pytest

from deltakit import rng
from deltakit.errors import RecipeError
from deltakit.sparsify.drop import Drop, mask_key
from support.flows import collect, flow

NAME = "model.layers.0.mlp.up_proj.weight"


def test_the_golden_mask():
    kept = collect(Drop(0.1).on(flow({NAME: np.ones(64)}, model="math", seed=42)))[NAME]
    assert np.flatnonzero(kept).tolist() == [2, 14, 15, 26, 29, 55, 59]


def test_survivors_are_divided_by_the_probability_and_the_rest_is_zero():
    values = np.random.default_rng(0).standard_normal((31, 7)).astype(np.float32)
    made = collect(Drop(0.3).on(flow({"t": values})))["t"]
    mask = rng.keep_mask(rng.key(42, "m", "t"), 0, values.size, 0.3).reshape(values.shape)
    assert np.array_equal(made, np.where(mask, values * np.float32(1 / rng.probability(0.3)), 0))
    assert not np.signbit(made[made == 0]).any()


def test_without_rescale_survivors_keep_their_values():
    values = np.arange(1, 101, dtype=np.float32)
    made = collect(Drop(0.3, rescale=False).on(flow({"t": values})))["t"]
    assert set(made[made != 0]) <= set(values)
    assert 10 < np.count_nonzero(made) < 50


def test_the_mean_over_seeds_is_the_delta():
    values = np.full(4000, 2.0)
    means = [collect(Drop(0.2).on(flow({"t": values}, seed=s)))["t"].mean() for s in range(40)]
    assert abs(np.mean(means) - 2.0) < 4 * 2.0 * np.sqrt(0.8 / 0.2 / (4000 * 40))


@pytest.mark.parametrize("max_bytes", [4, 28, 300])
def test_ranges_do_not_matter(max_bytes):
    made = Drop(0.5).on(flow({"t": np.random.default_rng(1).standard_normal((13, 7))}))
    assert np.array_equal(collect(made)["t"], collect(made, max_bytes)["t"])


def test_each_model_tensor_and_seed_has_its_own_mask():
    ones = np.ones(500)
    masks = [
        collect(Drop(0.5).on(flow({"t": ones, "u": ones}, model=m, seed=s)))[n]
        for m, s, n in [("m", 1, "t"), ("n", 1, "t"), ("m", 2, "t"), ("m", 1, "u")]
    ]
    assert len({m.tobytes() for m in masks}) == 4


def test_a_second_drop_by_the_same_mask_is_refused():
    once = Drop(0.5).on(flow({"t": np.ones(4)}))
    with pytest.raises(RecipeError, match="'t' was already dropped with seed 42 and the name 'm'"):
        collect(Drop(0.5).on(once))
    with pytest.raises(RecipeError, match="already dropped"):
        mask_key(once, "t")


@pytest.mark.parametrize("density", [0.0, -1.0, 1.0001, float("nan")])
def test_densities_out_of_range(density):
    with pytest.raises(RecipeError, match="density"):
        Drop(density)


def test_traits():
    assert Drop(1.0).idle
    assert not Drop(0.999).idle
    assert Drop(0.5).unbiased
    assert not Drop(0.5, rescale=False).unbiased
