import itertools

import numpy as np
import pytest
from scipy import stats

from deltakit.report.paired.bootstrap import generator
from deltakit.report.paired.shares import mcnemar
from deltakit.report.paired.signs import sign_flips, standard_error, student


@pytest.mark.parametrize("n", [1, 3, 6, 9])
def test_few_items_are_tested_by_every_pattern_of_signs(n):
    differences = np.random.default_rng(n).normal(0.5, 1.0, n)
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=n)]
    expected = np.mean([s >= abs(differences.sum()) - 1e-12 for s in sums])
    assert sign_flips(differences, generator(0, "x"), 100) == pytest.approx(expected)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (2, 7), (5, 5), (0, 12), (30, 50)])
def test_on_right_and_wrong_it_is_mcnemar(lost, gained):
    differences = np.array([-1.0] * lost + [1.0] * gained + [0.0] * 40)
    found = sign_flips(differences, generator(0, "m"), 20_000)
    assert found == pytest.approx(mcnemar(lost, gained)[0], abs=1e-9 if lost + gained <= 16 else 0.01)


def test_many_items_agree_with_students_t():
    differences = np.random.default_rng(7).normal(0.15, 1.0, 300)
    t = stats.ttest_1samp(differences, 0.0).pvalue
    assert student(differences, np.ones(300)) == pytest.approx(t)
    assert sign_flips(differences, generator(0, "t"), 20_000) == pytest.approx(t, abs=0.01)


def test_tenths_do_not_lose_ties_to_rounding():
    differences = np.array([0.1, 0.2, -0.3, 0.1, 0.3, -0.1, 0.2])
    exact = sign_flips(differences, generator(0, "r"), 10)
    assert exact == sign_flips(np.round(10 * differences), generator(0, "r"), 10)


def test_the_error_of_a_ratio_is_that_of_many_draws():
    random = np.random.default_rng(11)
    tokens = random.integers(5, 50, 200).astype(float)
    nats = 0.3 * tokens + random.normal(0, 2, 200)
    chosen = random.integers(0, 200, (4000, 200))
    ratios = nats[chosen].sum(axis=1) / tokens[chosen].sum(axis=1)
    assert standard_error(nats, tokens) == pytest.approx(ratios.std(), rel=0.06)


def test_where_there_is_nothing_to_divide_by_there_is_no_p():
    assert student(np.ones(5), np.ones(5)) is None
    assert student(np.array([2.0]), np.ones(1)) is None
    assert standard_error(np.array([2.0]), np.ones(1)) is None
    assert sign_flips(np.zeros(4), generator(0, "0"), 10) == 1.0
