"""Sharing bytes out. Run: pytest tests/compress/test_allocate.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.compress.plan.allocate import allocate, hand_on
from deltakit.errors import ResourceError


def test_in_proportion():
    assert allocate(100, [1, 3], [0, 0]) == [25, 75]


def test_what_the_small_take_beyond_their_share_comes_from_all_others():
    assert allocate(100, [1, 50, 50], [20, 0, 0]) == [20, 40, 40]
    assert allocate(100, [1, 2, 97], [20, 20, 0]) == [20, 20, 60]


def test_too_little_for_the_least():
    with pytest.raises(ResourceError, match="the least is 30") as wrong:
        allocate(29, [1, 1], [10, 20])
    assert "1 bytes more" in wrong.value.remedy


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 50)), min_size=1, max_size=20), st.integers(0, 5000))
def test_never_over_the_total_and_never_under_the_least(pairs, extra):
    weights, least = [w for w, _ in pairs], [n for _, n in pairs]
    total = sum(least) + extra
    got = allocate(total, weights, least)
    assert total - len(pairs) < sum(got) <= total or sum(got) == sum(least)
    assert all(g >= n for g, n in zip(got, least, strict=True))


@given(st.lists(st.integers(7, 200), min_size=1, max_size=20), st.integers(0, 30))
def test_handing_on_leaves_less_than_one_step(budgets, spare):
    got = hand_on(budgets, lambda i, budget: budget // 7 * 7, spare)
    used = sum(b // 7 * 7 for b in got)
    assert 0 <= sum(budgets) + spare - used < 7


def test_nothing_to_share():
    assert allocate(5, [], []) == []
    assert hand_on([], lambda i, budget: budget) == []
