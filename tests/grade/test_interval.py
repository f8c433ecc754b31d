"""Wilson's interval against its definition and a published one."""

from __future__ import annotations

import math

import pytest

from deltakit.grade.interval import Z, wilson


@pytest.mark.parametrize(("right", "n"), [(3, 7), (188, 200), (0.5, 2), (1, 1000)])
def test_its_ends_are_the_shares_that_lie_z_standard_errors_from_what_is_seen(right: float, n: int) -> None:
    for end in wilson(right, n):
        assert abs(right / n - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / n))


def test_it_has_width_at_the_ends_and_the_published_value_between() -> None:
    assert wilson(15, 50) == pytest.approx((0.1910, 0.4375), abs=5e-5)  # Brown, Cai and DasGupta (2001)
    z2 = Z * Z
    assert wilson(0, 10) == (0.0, pytest.approx(z2 / (10 + z2)))
    assert wilson(10, 10) == (pytest.approx(10 / (10 + z2)), 1.0)
