"""MAGPRUNE: probabilities by rank, the mask, and that each survivor is divided by its own probability."""

import numpy as np
import pytest

from deltakit import rng
from deltakit.errors import RecipeError
from deltakit.sparsify.magprune import MagPrune
from deltakit.sparsify.pipeline import parse_pipeline
from support.flows import collect, flow


def by_formula(values, density, window, key):
    """The paper's drop probabilities p_i on rows, and 1 / (1 - p_i) for survivors, in float64."""
    n, flat = values.shape[-1], values.reshape(-1, values.shape[-1]).astype(np.float64)
    rank = np.argsort(np.argsort(-np.abs(flat), axis=1, kind="stable"), axis=1)
    p = (1 - density - window / 2) + window / n * rank
    lanes = rng.lanes(key, 0, values.size).reshape(flat.shape) / 2**32
    return np.where(lanes < 1 - p, flat / (1 - p), 0).reshape(values.shape)


@pytest.mark.parametrize("shape", [(20, 33), (5, 4, 16), (63,)])
def test_against_the_formula(shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    made = collect(MagPrune(0.4, 0.3).on(flow({"t": values})), max_bytes=200)["t"]
    assert np.allclose(made, by_formula(values, 0.4, 0.3, rng.key(42, "m", "t")), rtol=1e-6)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("rank", [0, 7, 15])
def test_the_share_kept_of_a_rank_is_its_probability(closed, rank):
    values = np.tile(np.arange(16.0, 0, -1), (8000, 1))
    made = collect(MagPrune(0.5, 0.4, closed=closed).on(flow({"t": values})))["t"]
    keep = 0.7 - 0.4 * rank / (15 if closed else 16)
    assert np.mean(made[:, rank] != 0) == pytest.approx(keep, abs=4 * np.sqrt(keep * (1 - keep) / 8000))
    assert np.allclose(made[made[:, rank] != 0, rank], (16 - rank) / keep, rtol=1e-6)
    assert np.mean(made[:, rank]) == pytest.approx(16 - rank, rel=0.05)


def test_without_rescale_survivors_keep_their_values():
    values = np.random.default_rng(1).standard_normal((9, 30)).astype(np.float32)
    made = collect(MagPrune(0.5, 0.2, rescale=False).on(flow({"t": values})))["t"]
    assert np.all((made == 0) | (made == values))


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("shape", [(50, 1), (1,), (), (0, 3), (3, 0)])
def test_rows_of_one_element_or_none_are_finite(shape, closed):
    made = collect(MagPrune(0.5, 0.2, closed=closed).on(flow({"t": np.ones(shape)})))["t"]
    assert np.isfinite(made).all()
    survivor = 2.0 if closed else 1 / 0.6
    assert all(v == 0 or v == pytest.approx(survivor) for v in np.unique(made))


def test_packed_experts_are_ranked_within_the_rows_of_each():
    experts = np.random.default_rng(2).standard_normal((4, 6, 32)).astype(np.float32)
    packed = collect(MagPrune(0.5, 0.6).on(flow({"t": experts})))["t"]
    flat = collect(MagPrune(0.5, 0.6).on(flow({"t": experts.reshape(24, 32)})))["t"]
    assert np.array_equal(packed.reshape(24, 32), flat)


@pytest.mark.parametrize("max_bytes", [4, 28, 300])
def test_ranges_do_not_matter(max_bytes):
    made = MagPrune(0.5, 0.2).on(flow({"t": np.random.default_rng(1).standard_normal((13, 3, 7))}))
    assert np.array_equal(collect(made)["t"], collect(made, max_bytes)["t"])


def test_the_mask_of_a_drop_is_not_drawn_twice():
    with pytest.raises(RecipeError, match="same mask"):
        parse_pipeline("magprune(density=0.5, window=0.1) | drop(density=0.5)")
    once = MagPrune(0.5, 0.1).on(flow({"t": np.ones((2, 4))}))
    with pytest.raises(RecipeError, match="already dropped"):
        collect(MagPrune(0.5, 0.1).on(once))


@pytest.mark.parametrize(("density", "window"), [(0.05, 0.1), (0.95, 0.2), (0.5, -0.1), (1.2, 0.0)])
def test_probabilities_outside_are_refused(density, window):
    with pytest.raises(RecipeError, match="probabilities"):
        MagPrune(density, window)


def test_traits():
    assert MagPrune(1.0, 0.0).idle
    assert MagPrune(0.5, 0.1).unbiased
    assert not MagPrune(0.5, 0.1, rescale=False).unbiased
