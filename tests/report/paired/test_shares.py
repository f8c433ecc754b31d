"""Right or wrong: against sums over all tables, published figures, and how often intervals cover."""

import itertools
import math

import numpy as np
import pytest

from deltakit.report.paired.shares import mcnemar, minimal_difference, newcombe


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_mcnemar_is_the_sum_over_every_way_the_discordant_pairs_could_fall(n):
    for lost in range(n + 1):
        ways = [sum(fell) for fell in itertools.product((0, 1), repeat=n)]
        as_far = sum(abs(w - n / 2) >= abs(lost - n / 2) for w in ways) / 2**n
        here = sum(w in (lost, n - lost) for w in ways) / 2**n
        exact, mid = mcnemar(lost, n - lost)
        assert exact == pytest.approx(as_far)
        assert mid == pytest.approx(as_far - here / 2)


def test_mcnemar_without_discordant_pairs_and_with_many():
    assert mcnemar(0, 0) == (1.0, 1.0)
    assert mcnemar(10, 0)[0] == pytest.approx(2 / 2**10)
    lost, gained = 4800, 5200  # chi squared with continuity correction
    chi = (abs(lost - gained) - 1) ** 2 / (lost + gained)
    assert mcnemar(lost, gained)[0] == pytest.approx(math.erfc(math.sqrt(chi / 2)), rel=0.01)


def test_newcombe_gives_the_published_interval():
    # Newcombe, Statist. Med. 17 (1998) 2635, table II: 36, 12, 2, 0 of 50 by method 10
    low, high = newcombe(36, 2, 12, 0)
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)


def test_newcombe_turns_round_with_its_models_and_stays_inside():
    for table in [(36, 2, 12, 0), (0, 5, 0, 5), (10, 0, 0, 0), (0, 0, 0, 9), (3, 4, 5, 6), (0, 9, 0, 0), (1, 0, 0, 0)]:
        both, lost, gained, neither = table
        low, high = newcombe(*table)
        back = newcombe(both, gained, lost, neither)
        assert back == pytest.approx((-high, -low))
        assert -1 <= low <= (gained - lost) / sum(table) <= high <= 1


def test_newcombe_covers_as_often_as_it_says():
    random, n, cover = np.random.default_rng(1), 100, 0
    cells = (0.5, 0.08, 0.18, 0.24)
    for table in random.multinomial(n, cells, size=2000):
        low, high = newcombe(*map(int, table))
        cover += low <= cells[2] - cells[1] <= high
    assert 0.93 <= cover / 2000 <= 0.975


def test_the_minimal_difference_is_found_four_times_of_five():
    n, discordant = 400, 0.2
    least = minimal_difference(discordant, n)
    assert least is not None
    random = np.random.default_rng(2)
    up, down = (discordant + least) / 2, (discordant - least) / 2
    tables = random.multinomial(n, [down, up, 1 - discordant], size=2000)
    found = np.mean([mcnemar(int(a), int(b))[1] < 0.05 for a, b, _ in tables])
    assert found == pytest.approx(0.8, abs=0.035)


def test_the_minimal_difference_shrinks_with_items_and_is_none_for_few():
    found = [minimal_difference(0.1, n) for n in (50, 200, 1000, 10_000)]
    assert found == sorted(found, reverse=True)
    assert minimal_difference(0.0, 3) is None
    assert minimal_difference(0.0, 200) > 0
