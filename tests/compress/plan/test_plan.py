"""What happens to every tensor. Run: pytest tests/compress/test_plan.py"""

from __future__ import annotations

import json

import pytest

from deltakit.compress.codec import parse_codec
from deltakit.compress.plan.plan import Plan, check_size, covers, for_bytes, plan_rows, spell
from deltakit.delta.difference import difference
from deltakit.errors import NoEffectError, RecipeError, ResourceError
from deltakit.tensors import TensorSpec
from support.tensors import memory, normal, tensor

SHAPES = {
    "big.weight": (60, 40),
    "conv.weight": (8, 4, 3),
    "embed.weight": (50, 40),
    "experts.weight": (3, 20, 40),
    "norm.weight": (40,),
    "tiny.weight": (2, 40),
}


def models(dtype="BF16", grown=0):
    base = {n: tensor(normal(s, i), dtype) for i, (n, s) in enumerate(sorted(SHAPES.items()))}
    shapes = SHAPES | {"embed.weight": (50 + grown, 40)}
    tuned = {n: tensor(normal(s, 90 + i), dtype) for i, (n, s) in enumerate(sorted(shapes.items()))}
    return memory(base), memory(tuned)


def delta(**options):
    return difference(*models(**options))


def test_every_tensor_has_a_row_with_an_action():
    rows = plan_rows(delta(), parse_codec("svd_mixed"), 16)
    assert [r.name for r in rows] == sorted(SHAPES)
    assert {r.name: r.action for r in rows} == {
        "big.weight": "codec",
        "conv.weight": "exact",  # the sides of its matrix are below 16
        "embed.weight": "codec",
        "experts.weight": "codec",
        "norm.weight": "exact",
        "tiny.weight": "codec",
    }


def test_a_ratio_is_a_budget_for_each_matrix():
    codec = parse_codec("svd_mixed")
    rows = {r.name: r for r in plan_rows(delta(), codec, 16)}
    least = codec.least(TensorSpec((2, 40), "BF16"))
    assert rows["tiny.weight"].budget == least > 2 * 40 * 2 / 16  # less cannot be
    coded = [r for r in rows.values() if r.action == "codec"]
    total = sum(int(r.spec.nbytes / 16) for r in coded)
    assert total - len(coded) <= sum(r.budget for r in coded) <= total
    assert rows["big.weight"].budget <= 60 * 40 / 8


def test_rows_that_the_base_lacks_are_not_coded():
    rows = {r.name: r for r in plan_rows(delta(grown=3), parse_codec("sign"), None)}
    assert rows["embed.weight"].shape == (50, 40)


def test_known_unchanged_tensors_are_left_out():
    made = delta(grown=3)
    rows = {r.name: r.action for r in plan_rows(made, parse_codec("sign"), None, ["big.weight", "embed.weight"])}
    assert rows["big.weight"] == "unchanged"
    assert rows["embed.weight"] == "exact"  # its added rows


def test_no_matrix_that_differs():
    with pytest.raises(NoEffectError, match="no matrix"):
        plan_rows(delta(), parse_codec("sign"), None, [n for n in SHAPES if n != "norm.weight"])


def test_a_number_of_bytes_is_used_up():
    codec = parse_codec("svd_mixed")
    rows = plan_rows(delta(), codec, None)
    coded = [r for r in for_bytes(rows, codec, 1500) if r.action == "codec"]
    used = sum(codec.nbytes(r.spec, r.budget) for r in coded)
    assert 1500 - (60 + 40) * 5 / 8 - 8 < used <= 1500


def test_too_few_bytes_say_the_least():
    codec = parse_codec("lowrank")
    rows = plan_rows(delta(), codec, None)
    least = sum(codec.least(r.spec) for r in rows if r.action == "codec")
    with pytest.raises(ResourceError, match=f"the least is {least}"):
        for_bytes(rows, codec, least - 1)
    with pytest.raises(ResourceError):
        plan_rows(delta(), codec, 100)


def test_a_codec_of_fixed_size_meets_a_ratio_or_says_so():
    codec = parse_codec("sign")
    plan_rows(delta(), codec, 16)
    with pytest.raises(RecipeError, match=r"ratio of 1\d\.\d\d, whatever") as wrong:
        plan_rows(delta(), codec, 8)
    assert "svd_mixed" in wrong.value.remedy
    with pytest.raises(RecipeError, match=r"ratio of (29|30|31)\.\d\d"):
        plan_rows(delta(dtype="F32"), codec, 16)


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
    ],
)
def test_sizes_that_make_no_sense(codec, ratio, nbytes, match):
    with pytest.raises(RecipeError, match=match):
        check_size(parse_codec(codec), ratio, nbytes)


@pytest.mark.parametrize("codec", ["sign", "lowrank(rank=3)", "svd_mixed(bands='2:9')"])
def test_a_codec_that_knows_its_size_needs_none(codec):
    check_size(parse_codec(codec), None, None)


def test_integers_and_unchanged_entries_are_not_coded():
    from deltakit.delta.expression import Entry

    assert not covers(Entry(TensorSpec((40, 40), "I64"), 40, delta().entries["big.weight"].parts))
    assert not covers(Entry(TensorSpec((40, 40), "BF16"), 40))


def test_a_plan_is_json():
    codec = parse_codec("svd_mixed(bands='8:1')")
    plan = Plan(spell(codec), None, None, plan_rows(delta(), codec, None))
    assert json.loads(json.dumps(plan.as_dict()))["codec"] == "svd_mixed(bands='8:1', rounds=3)"
    assert len(plan.covered) == 4
