import itertools

import numpy as np
import pytest

from deltakit.report.paired.holm import holm


def test_a_worked_example_in_any_order():
    p = [0.01, 0.04, 0.03, 0.005]
    expected = dict(zip(p, [0.03, 0.06, 0.06, 0.02], strict=True))
    for order in itertools.permutations(p):
        assert holm(order) == pytest.approx([expected[x] for x in order])


def test_one_stays_and_none_exceeds_one():
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_it_rejects_wrongly_at_most_as_often_as_it_says():
    random = np.random.default_rng(0)
    wrong = sum(min(holm(list(random.uniform(size=20)))) < 0.05 for _ in range(2000))
    assert wrong / 2000 < 0.065
