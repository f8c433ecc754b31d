"""The order of examples: a function of seed and counts alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.train.order import draw, order, pool, steps

LENGTHS = np.arange(1000) % 97 + 3


@given(st.integers(1, 200), st.integers(0, 2**31))
def test_draw_is_a_permutation(count, seed):
    assert sorted(draw(count, seed, "x")) == list(range(count))


def test_draw_depends_on_seed_and_purpose():
    assert draw(50, 1, "x").tolist() != draw(50, 2, "x").tolist()
    assert draw(50, 1, "x").tolist() != draw(50, 1, "y").tolist()


def test_pool_repeats_by_weight_and_draws_fractions():
    found = pool([4, 10], [2.0, 0.5], seed=1)
    counts = np.bincount(found, minlength=14)
    assert counts[:4].tolist() == [2, 2, 2, 2]
    assert sorted(set(counts[4:])) == [0, 1]
    assert counts[4:].sum() == 5


@pytest.mark.parametrize("by_length", [False, True])
def test_every_epoch_sees_the_pool_once(by_length):
    one = np.arange(96)
    found = order(one, LENGTHS, 192, 16, seed=3, by_length=by_length)
    assert np.bincount(found, minlength=96).tolist() == [2] * 96
    if not by_length:
        assert sorted(found[:96]) == list(range(96))
        assert found[:96].tolist() != found[96:].tolist()


def test_grouping_makes_batches_of_like_lengths_in_mixed_order():
    found = order(np.arange(1000), LENGTHS, 992, 16, seed=3, by_length=True).reshape(-1, 16)
    spread = np.ptp(LENGTHS[found], axis=1)
    assert spread.mean() < 12
    assert np.ptp(LENGTHS[order(np.arange(1000), LENGTHS, 992, 16, 3, False).reshape(-1, 16)], axis=1).mean() > 60
    means = LENGTHS[found].mean(axis=1)
    assert (np.diff(means) < 0).sum() > 10


def test_the_order_is_fixed_across_machines():
    assert order(np.arange(10), LENGTHS, 10, 2, 42, False).tolist() == draw(10, 42, "epoch 0").tolist()
    assert draw(10, 42, "epoch 0").tolist() == GOLDEN


GOLDEN = [8, 6, 0, 9, 7, 1, 2, 4, 3, 5]


def test_steps_cover_the_epochs():
    assert (steps(100, 32, 1), steps(96, 32, 1), steps(3, 32, 1), steps(100, 10, 2.5)) == (4, 3, 1, 25)
