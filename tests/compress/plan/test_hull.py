"""One budget over many matrices. Run: pytest tests/compress/plan/test_hull.py"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deltakit.compress.codec import parse_codec
from deltakit.compress.offer import Offer
from deltakit.compress.plan.hull import Ladder, lower_hull, share_out
from deltakit.errors import ResourceError
from deltakit.tensors import TensorSpec

SPEC = TensorSpec((64, 64), "BF16")
SIGN, LOWRANK = parse_codec("sign"), parse_codec("lowrank")


def offer(nbytes, error, codec=SIGN):
    return Offer(codec, None if codec.fixed else nbytes, nbytes, error)


def ladder(*points, weight=1.0, codec=SIGN):
    return Ladder(SPEC, tuple(offer(n, e, codec) for n, e in points), points[0][1], weight)


def spent(offers):
    return sum(o.nbytes for o in offers)


def test_the_hull_holds_what_is_best_at_some_price():
    points = [(10, 9.0), (20, 8.5), (30, 4.0), (30, 5.0), (40, 4.5), (60, 1.0), (70, 1.0)]
    assert [o.nbytes for o in lower_hull(offer(*p) for p in points)] == [10, 30, 60]
    assert lower_hull([offer(5, 1.0)]) == (offer(5, 1.0),)


@pytest.mark.parametrize("seed", range(8))
def test_every_hull_is_convex_and_below_all_offers(seed):
    rng = np.random.default_rng(seed)
    points = [(int(n), float(e)) for n, e in zip(rng.integers(1, 99, 30), rng.random(30), strict=True)]
    hull = lower_hull(offer(*p) for p in points)
    slopes = [(a.error - b.error) / (b.nbytes - a.nbytes) for a, b in itertools.pairwise(hull)]
    assert all(s > 0 for s in slopes)
    assert slopes == sorted(slopes, reverse=True)
    for n, e in points:
        if n >= hull[0].nbytes:
            assert np.interp(n, [o.nbytes for o in hull], [o.error for o in hull]) <= e + 1e-12


@pytest.mark.parametrize("seed", range(6))
def test_no_other_choice_is_better_by_more_than_one_step(seed):
    rng = np.random.default_rng(seed)
    ladders = []
    for _ in range(5):
        sizes = np.cumsum(rng.integers(1, 12, 5))
        errors = np.sort(rng.random(5))[::-1] * 10
        ladders.append(ladder(*[(int(n), float(e)) for n, e in zip(sizes, errors, strict=True)]))
    total = int(sum(one.least for one in ladders) * 2.5)
    got = share_out(ladders, total)
    every = [c for c in itertools.product(*(one.offers for one in ladders)) if spent(c) <= total]
    best = min(sum(o.error for o in c) for c in every)
    step = max(a.error - b.error for one in ladders for a, b in itertools.pairwise(one.hull))
    assert spent(got) <= total
    assert best <= sum(o.error for o in got) <= best + step


def test_bytes_go_where_they_take_off_most_error():
    small, large = ladder((10, 1.0), (20, 0.0)), ladder((10, 100.0), (20, 50.0), (30, 49.9))
    assert [o.nbytes for o in share_out([small, large], 30)] == [10, 20]
    assert [o.nbytes for o in share_out([small, large], 40)] == [20, 20]
    heavy = ladder((10, 1.0), (20, 0.0), weight=1000.0)
    assert [o.nbytes for o in share_out([heavy, large], 30)] == [20, 10]


def test_what_is_left_goes_to_offers_between():
    one = ladder((10, 10.0), (40, 1.0), (20, 9.5))  # 20 bytes is on no hull
    assert [o.nbytes for o in share_out([one], 35)] == [20]


def test_a_codec_that_follows_takes_part_of_a_step():
    points = [(516 * k, 10.0 - k) for k in range(1, 9, 3)]
    (got,) = share_out([ladder(*points, codec=LOWRANK)], 516 * 3)
    assert 512 * 2 <= got.nbytes <= 516 * 3
    assert got.budget is not None
    assert LOWRANK.nbytes(SPEC, got.budget) == got.nbytes
    assert 7.0 < got.error < 8.1


def test_too_few_bytes_say_the_least():
    ladders = [ladder((10, 1.0)), ladder((15, 1.0), (25, 0.5))]
    assert spent(share_out(ladders, 25)) == 25
    with pytest.raises(ResourceError, match="the least is 25") as wrong:
        share_out(ladders, 21)
    assert "4 bytes more" in wrong.value.remedy


def test_hundreds_of_matrices_take_no_time():
    rng = np.random.default_rng(0)
    ladders = []
    for _ in range(400):
        sizes = np.sort(rng.integers(1000, 10**6, 60))
        errors = np.sort(rng.random(60))[::-1]
        codec = LOWRANK if rng.random() < 0.5 else SIGN
        ladders.append(ladder(*[(int(n), float(e)) for n, e in zip(sizes, errors, strict=True)], codec=codec))
    total = 400 * 300_000
    got = share_out(ladders, total)
    assert 0.999 * total < spent(got) <= total
    assert got == share_out(ladders, total)
