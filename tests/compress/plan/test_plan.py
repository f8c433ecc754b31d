"""What happens to every tensor. Run: pytest tests/compress/test_plan.py"""

from __future__ import annotations

import json

import pytest

from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.forecast import Forecast
from deltakit.compress.plan.plan import Plan, covers, plan_rows
from deltakit.delta.difference import difference
from deltakit.errors import NoEffectError
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
    rows = plan_rows(delta(), parse_choice("svd_mixed"))
    assert [r.name for r in rows] == sorted(SHAPES)
    assert {r.name: r.action for r in rows} == {
        "big.weight": "codec",
        "conv.weight": "exact",  # the sides of its matrix are below 16
        "embed.weight": "codec",
        "experts.weight": "codec",
        "norm.weight": "exact",
        "tiny.weight": "codec",
    }


def test_rows_that_the_base_lacks_are_not_coded():
    rows = {r.name: r for r in plan_rows(delta(grown=3), parse_choice("sign"))}
    assert rows["embed.weight"].shape == (50, 40)


def test_every_row_says_its_codec():
    rows = {r.name: r.codec for r in plan_rows(delta(), parse_choice("lowrank; *embed*=sign"))}
    assert rows["embed.weight"] == "sign(scale='scalar', zeros='auto')"
    assert rows["big.weight"] == "lowrank(rank=0, dtype='F16')"
    assert rows["norm.weight"] == ""


def test_known_unchanged_tensors_are_left_out():
    made = delta(grown=3)
    rows = {r.name: r.action for r in plan_rows(made, parse_choice("sign"), ["big.weight", "embed.weight"])}
    assert rows["big.weight"] == "unchanged"
    assert rows["embed.weight"] == "exact"  # its added rows


def test_no_matrix_that_differs():
    with pytest.raises(NoEffectError, match="no matrix"):
        plan_rows(delta(), parse_choice("sign"), [n for n in SHAPES if n != "norm.weight"])


def test_integers_and_unchanged_entries_are_not_coded():
    from deltakit.delta.expression import Entry

    assert not covers(Entry(TensorSpec((40, 40), "I64"), 40, delta().entries["big.weight"].parts))
    assert not covers(Entry(TensorSpec((40, 40), "BF16"), 40))


def test_a_plan_is_json_without_what_it_expects():
    rows = plan_rows(delta(), parse_choice("svd_mixed(bands='8:1')"))
    plan = Plan("svd_mixed", None, None, rows)
    expecting = Plan("svd_mixed", None, None, rows, {"big.weight": Forecast("svd_mixed", 100, 1.0, 2.0)})
    assert plan.as_dict() == expecting.as_dict()
    assert json.loads(json.dumps(plan.as_dict()))["codec"] == "svd_mixed"
    assert plan == expecting
    assert len(plan.covered) == 4
    assert plan.payload != expecting.payload
