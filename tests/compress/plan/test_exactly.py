"""exact: every bit, for all matrices or for some."""

import pytest

from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.exactly import Exactly
from deltakit.compress.plan.planning import plan_compression
from deltakit.compress.run.encode import Encoder
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Lineage
from deltakit.errors import RecipeError, ResourceError
from support.tensors import memory, normal, tensor, whole


def world():
    base = {"head": normal((40, 20), 0), "norm": normal((20,), 1), "w": normal((30, 20), 2)}
    tuned = {n: v + normal(v.shape, 5, 0.01) for n, v in base.items()}
    first, second = (memory({n: tensor(v) for n, v in m.items()}) for m in (base, tuned))
    return first, second, difference(first, second, lineage=Lineage(base="b", tuned="t"))


def test_everything_is_exact():
    base, tuned, delta = world()
    choice = parse_choice("exact")
    assert choice.default == Exactly()
    assert choice.text == "exact"
    plan = plan_compression(delta, choice)
    assert {row.action for row in plan.rows} == {"exact"}
    encoder = Encoder.of(delta, plan)
    assert whole(Applied(base, delta.map(lambda name, _: encoder.entry(name)))) == whole(tuned)


def test_some_of_it_is():
    base, tuned, delta = world()
    plan = plan_compression(delta, parse_choice("group_quant; head=exact"), ratio=4)
    assert {row.name: row.action for row in plan.rows} == {"head": "exact", "norm": "exact", "w": "codec"}


def test_sizes_that_it_cannot_follow():
    delta = world()[2]
    with pytest.raises(RecipeError, match="no ratio"):
        plan_compression(delta, parse_choice("exact"), ratio=4)
    with pytest.raises(ResourceError, match="allow at least"):
        plan_compression(delta, parse_choice("exact"), nbytes=900)
    assert plan_compression(delta, parse_choice("exact"), nbytes=100_000).nbytes == 100_000
    with pytest.raises(RecipeError, match="matches no tensor"):
        plan_compression(delta, parse_choice("exact; haed=sign"))
