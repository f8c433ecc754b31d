import numpy as np
import pytest

from deltakit.report.paired.bootstrap import bootstrap, generator, resampled, resampled_signs


def signs(n: int, lost: int, gained: int) -> np.ndarray:
    return np.array([-1.0] * lost + [1.0] * gained + [0.0] * (n - lost - gained))


def test_with_many_items_it_is_the_normal_interval():
    random = np.random.default_rng(0)
    differences = random.normal(0.1, 1.0, 4000)
    found = bootstrap(differences, np.ones(4000), generator(0, "x"))
    error = differences.std(ddof=1) / np.sqrt(4000)
    assert (found.low, found.high) == pytest.approx(
        (differences.mean() - 1.96 * error, differences.mean() + 1.96 * error), abs=0.05 * error * 2
    )
    assert found.p < 0.001


def test_counting_signs_is_drawing_items():
    differences = signs(300, 20, 35)
    slow = resampled(differences, np.ones(300), generator(0, "slow"), 10_000)
    fast = resampled_signs(differences, generator(0, "fast"), 10_000)
    assert slow.mean() == pytest.approx(fast.mean(), abs=0.002)
    assert slow.std() == pytest.approx(fast.std(), rel=0.04)
    assert np.quantile(slow, (0.025, 0.5, 0.975)) == pytest.approx(np.quantile(fast, (0.025, 0.5, 0.975)), abs=0.008)


def test_weights_make_it_the_mean_per_token():
    random = np.random.default_rng(3)
    tokens = random.integers(1, 100, 2000).astype(float)
    differences = 0.2 * tokens + random.normal(0, 1, 2000)
    found = bootstrap(differences, tokens, generator(0, "t"))
    assert found.low < 0.2 < found.high
    assert found.high - found.low < 0.004


def test_chunks_do_not_change_the_draws(monkeypatch):
    differences = np.random.default_rng(1).normal(size=50)
    whole = resampled(differences, np.ones(50), generator(0, "c"), 200)
    monkeypatch.setattr("deltakit.report.paired.bootstrap._CHUNK", 50 * 7)
    assert np.array_equal(resampled(differences, np.ones(50), generator(0, "c"), 200), whole)


def test_no_difference_has_p_one_and_p_is_never_zero():
    assert bootstrap(np.zeros(10), np.ones(10), generator(0, "z")).p == 1.0
    sure = bootstrap(np.ones(10), np.ones(10), generator(0, "z"), draws=99)
    assert (sure.low, sure.high, sure.p) == (1.0, 1.0, 0.02)


def test_a_seed_belongs_to_its_names():
    draws = [
        generator(*names).integers(0, 1 << 30) for names in ((0, "a"), (0, "a"), (0, "b"), (1, "a"), (0, "\udc80"))
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 4


def test_p_values_are_fair_where_there_is_no_difference():
    random = np.random.default_rng(5)
    below = 0
    for i in range(400):
        below += bootstrap(random.normal(size=60), np.ones(60), generator(i, "null"), draws=400).p < 0.05
    assert 0.02 <= below / 400 <= 0.09
