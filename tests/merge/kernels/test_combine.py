"""The one pass, and the count of votes, on arrays of sizes around the block's."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.merge.engine.program import columns
from deltakit.merge.kernels.codes import KINDS
from deltakit.merge.kernels.combine import ELECT, SUM, combine, count_votes
from deltakit.merge.kernels.steps import BLOCK
from support.programs import family, program

F = np.float32
AFTER = (np.array([], np.int64), columns([]))
SIZES = [0, 1, 63, BLOCK - 1, BLOCK, 3 * BLOCK + 5]


def run(
    made: object, count: int, reducer: int, weights: list[float], numbers: tuple[float, float, float]
) -> np.ndarray:
    out = np.full(count, 7, np.float32)
    tables, _held = made.over(0, count)
    given = (reducer, np.array(weights, np.float32), tuple(F(n) for n in numbers), AFTER, False)
    assert combine(np.uint64(out.ctypes.data), KINDS["F32"], count, 0, BLOCK, tables, *given)
    return out


@pytest.mark.parametrize("count", SIZES)
def test_a_sum_over_the_base(count: int) -> None:
    base, (a, b) = family(count)
    expected = base + ((a - base) * F(0.3) + (b - base) * F(0.7) + base * F(0.5))
    found = run(program(base, [a, b]), count, SUM, [0.3, 0.7], (0.5, 1.0, -1.0))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("count", SIZES)
def test_an_elected_mean_over_the_base(count: int) -> None:
    base, (a, b) = family(count)
    da, db = a - base, b - base
    plus = da + db > 0
    ka, kb = np.where(plus, da > 0, da < 0), np.where(plus, db > 0, db < 0)
    share = ka * F(1) + kb * F(2)
    mean = (np.where(ka, da, F(0)) + np.where(kb, db * F(2), F(0))) / np.where(share > 0, share, F(1))
    found = run(program(base, [a, b]), count, ELECT, [1.0, 2.0], (0.0, 0.5, -1.0))
    np.testing.assert_array_equal(found, base + mean * F(0.5))


@pytest.mark.parametrize("count", SIZES)
def test_votes_are_counted(count: int) -> None:
    base, (a, b) = family(count)
    tables, _held = program(base, [a, b]).over(0, count)
    total = (a - base) + (b - base)
    assert count_votes(count, 0, BLOCK, 2, tables) == ((total > 0).sum() - (total < 0).sum(), True)


def test_votes_over_what_is_not_finite_are_unsound() -> None:
    base, (a, b) = family(2000)
    a[1999] = np.inf
    tables, _held = program(base, [a, b]).over(0, 2000)
    assert not count_votes(2000, 0, 64, 2, tables)[1]
