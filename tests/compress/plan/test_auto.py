"""`auto` against every codec by itself. Run: pytest tests/compress/plan/test_auto.py"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.plan.auto import Auto
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.forecast import total_error
from deltakit.compress.plan.planning import plan_compression, planner
from deltakit.delta.site import Site
from deltakit.errors import RecipeError, ResourceError
from support.spectra import delta_of, shared_delta

SHAPES = [(96, 160), (160, 96), (128, 128)]
SHARES = [0.9, 0.7, 0.4, 0]
SINGLE = ["svd_mixed", "lowrank", "group_quant", "sign", "sign(scale='row')"]


@cache
def family(share):
    """Three matrices of one share; "mixed" has one of each."""
    shares = SHARES if share == "mixed" else [share] * len(SHAPES)
    shapes = [(128, 128)] * 4 if share == "mixed" else SHAPES
    return delta_of([shared_delta(s, h, i) for i, (s, h) in enumerate(zip(shapes, shares, strict=True))])


@cache
def measured(share):
    return planner(family(share), parse_choice("auto"))


def achieved(delta, plan):
    """(bytes, relative squared error) of a plan carried out."""
    nbytes, error, energy = 0, 0.0, 0.0
    for row in plan.covered:
        values = delta.rows(row.name, 0, row.shape[0])
        terms = parse_codec(row.codec).encode(values, Context(Site(row.name), row.spec, row.budget))
        made = sum((t.rows(0, row.shape[0]) for t in terms), np.zeros_like(values))
        nbytes += sum(t.nbytes for t in terms)
        error += float(((made - values).astype(np.float64) ** 2).sum())
        energy += float((values.astype(np.float64) ** 2).sum())
    return nbytes, error / energy


def total(share, bits):
    return sum(int(spec.numel * bits / 8) for spec in family(share).specs.values())


def single(codec, share, bits):
    """The error of one codec for all, where it fits into so many bits per parameter; else infinity."""
    delta = family(share)
    fixed = parse_codec(codec).fixed
    try:
        plan = plan_compression(delta, parse_choice(codec), ratio=None if fixed else 32 / bits)
    except ResourceError:
        return float("inf")
    nbytes, error = achieved(delta, plan)
    return error if nbytes <= total(share, bits) else float("inf")


@pytest.mark.parametrize("bits", [4, 2.2, 1.2, 0.5, 0.25])
@pytest.mark.parametrize("share", [*SHARES, "mixed"])
def test_it_is_no_worse_than_the_best_single_codec(share, bits):
    plan = measured(share).plan(ratio=32 / bits)
    nbytes, error = achieved(family(share), plan)
    assert nbytes <= total(share, bits)
    best = min(single(codec, share, bits) for codec in SINGLE)
    assert error <= 1.03 * best
    assert 0.75 < total_error(plan.forecasts) / error < 1.25  # what was said beforehand


def test_it_chooses_by_what_the_delta_is_like():
    names = {share: [f.codec for f in measured(share).plan(ratio=27).forecasts.values()] for share in SHARES}
    assert set(names[0.9]) == {"svd_mixed"}
    assert set(names[0]) <= {"group_quant", "sign", "sign_lowrank"}


def test_most_of_the_budget_is_spent():
    for bits in (3, 1, 0.4):
        plan = measured("mixed").plan(ratio=32 / bits)
        assert 0.97 * total("mixed", bits) < plan.payload <= total("mixed", bits)


def test_the_same_delta_gives_the_same_plan():
    again = planner(family("mixed"), parse_choice("auto"), threads=2)
    assert again.plan(ratio=16) == measured("mixed").plan(ratio=16)


def test_patterns_and_auto_share_one_budget():
    plan = plan_compression(family("mixed"), parse_choice("auto; w00*=svd_mixed; w03*=sign"), ratio=16)
    rows = {row.name: row for row in plan.rows}
    assert rows["w00.weight"].codec.startswith("svd_mixed")
    assert rows["w03.weight"].codec.startswith("sign")
    assert set(plan.forecasts) == {"w01.weight", "w02.weight"}
    assert plan.payload <= total("mixed", 2)


def test_parameters():
    assert {codec.name for codec in Auto().candidates} >= {"group_quant", "svd_mixed"}
    assert [c.name for c in Auto("svd_mixed(rounds=1), group_quant(bits=2)").candidates] == ["svd_mixed", "group_quant"]
    with pytest.raises(RecipeError, match="unknown codec"):
        Auto("svd_mixd")
    with pytest.raises(RecipeError, match="weigh"):
        Auto(weigh="heavy")
