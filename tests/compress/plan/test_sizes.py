"""Budgets for the coded matrices. Run: pytest tests/compress/plan/test_sizes.py"""

from __future__ import annotations

import pytest

from deltakit.compress.codec import parse_codec
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.plan import Row
from deltakit.compress.plan.planning import Planner
from deltakit.compress.plan.sizes import check_reach, check_size, least_payload, size_rows
from deltakit.errors import RecipeError, ResourceError
from deltakit.tensors import TensorSpec

SHAPES = {"a": (60, 40), "b": (50, 40), "c": (60, 40), "tiny": (2, 40)}


def rows_of(text, dtype="BF16"):
    choice = parse_choice(text)
    return [Row(n, s, dtype, "codec", None, _spelled(choice.of(n))) for n, s in SHAPES.items()]


def _spelled(coding):
    from deltakit.compress.plan.choice import spell

    return spell(coding)


def used(rows):
    return {r.name: parse_codec(r.codec).nbytes(r.spec, r.budget) for r in rows}


def test_a_ratio_is_a_budget_for_each_matrix():
    codec = parse_codec("svd_mixed")
    planner = Planner(None, parse_choice("svd_mixed"), tuple(rows_of("svd_mixed")))
    rows = {r.name: r for r in planner.plan(ratio=16).rows}
    least = codec.least(TensorSpec((2, 40), "BF16"))
    assert rows["tiny"].budget == least > 2 * 40 * 2 / 16  # less cannot be
    total = sum(int(r.spec.nbytes / 16) for r in rows.values())
    assert total - len(rows) <= sum(r.budget for r in rows.values()) <= total
    assert rows["a"].budget <= 60 * 40 / 8


def test_a_number_of_bytes_is_used_up():
    rows, forecasts = size_rows(rows_of("svd_mixed"), 1500, {}, tight=True)
    assert 1500 - (60 + 40) * 5 / 8 - 8 < sum(used(rows).values()) <= 1500
    assert forecasts == {}


@pytest.mark.parametrize("tight", [True, False])
def test_what_codecs_of_fixed_size_take_is_not_for_the_others(tight):
    rows, _ = size_rows(rows_of("svd_mixed; b=sign"), 1500, {}, tight=tight)
    taken = used(rows)
    assert taken["b"] == parse_codec("sign").least(TensorSpec((50, 40), "BF16"))
    assert sum(taken.values()) <= 1500
    assert abs(taken["a"] - taken["c"]) <= (60 + 40) / 2
    alone, _ = size_rows(rows_of("svd_mixed; b=sign; tiny=sign"), 1500, {}, tight=tight)
    assert used(alone)["tiny"] == parse_codec("sign").least(TensorSpec((2, 40), "BF16"))


def test_too_few_bytes_say_the_least():
    rows = rows_of("lowrank; b=sign")
    least = least_payload(rows, {})
    with pytest.raises(ResourceError, match=f"the least is {least:,}"):
        size_rows(rows, least - 1, {}, tight=True)
    assert sum(used(size_rows(rows, least, {}, tight=True)[0]).values()) == least


def test_codecs_of_fixed_size_alone_take_theirs():
    rows, _ = size_rows(rows_of("sign"), 10, {}, tight=False)
    assert [r.budget for r in rows] == [parse_codec("sign").least(r.spec) for r in rows]


def test_codecs_of_fixed_size_meet_a_ratio_or_say_so():
    check_reach(rows_of("sign"), 16)
    with pytest.raises(RecipeError, match=r"ratio of 1\d\.\d\d, whatever") as wrong:
        check_reach(rows_of("sign"), 8)
    assert "svd_mixed" in wrong.value.remedy
    with pytest.raises(RecipeError, match=r"ratio of \d\d\.\d\d"):
        check_reach(rows_of("sign", "F32"), 16)
    check_reach(rows_of("sign; a=lowrank"), 8)


@pytest.mark.parametrize(
    ("codec", "ratio", "nbytes", "match"),
    [
        ("svd_mixed", 16.0, 1000, "both"),
        ("svd_mixed", 1.0, None, "not above 1"),
        ("svd_mixed", float("nan"), None, "not above 1"),
        ("svd_mixed", float("inf"), None, "not above 1"),
        ("svd_mixed", -4.0, None, "not above 1"),
        ("sign", None, 0, "0 bytes"),
        ("lowrank", None, None, "lowrank needs a size"),
        ("sign; *embed*=lowrank", None, None, "lowrank needs a size"),
        ("auto", None, None, "auto needs a size"),
    ],
)
def test_sizes_that_make_no_sense(codec, ratio, nbytes, match):
    with pytest.raises(RecipeError, match=match):
        check_size(parse_choice(codec), ratio, nbytes)


@pytest.mark.parametrize("codec", ["sign", "lowrank(rank=3)", "svd_mixed(bands='2:9'); *a*=sign"])
def test_a_choice_that_knows_its_size_needs_none(codec):
    check_size(parse_choice(codec), None, None)
