"""auto is told of a merge's factors."""

import numpy as np
import pytest

from deltakit.compress.codecs.lowrank import Lowrank
from deltakit.compress.offer import Study
from deltakit.compress.plan.bargains import bargains
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.planning import plan_compression
from deltakit.compress.run.encode import Encoder
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Lineage
from support.tensors import bits, memory, normal, tensor

SHAPE = (160, 120)


def models():
    """A merge, a few changed elements and a full fine-tune, over one base."""
    base = {n: tensor(normal(SHAPE, i, 0.02)) for i, n in enumerate("abc")}
    start = {n: np.frombuffer(raw, "<u2").reshape(SHAPE) for n, (_, raw) in base.items()}
    wide = {n: (v.astype(np.uint32) << 16).view(np.float32) for n, v in start.items()}
    lora = normal((160, 2), 7, 0.01) @ normal((2, 120), 8, 0.05)
    few = start["b"] + (np.random.default_rng(0).random(SHAPE) < 0.005).astype(np.uint16)
    tuned = {"a": tensor(wide["a"] + lora), "b": bits(few, "BF16"), "c": tensor(wide["c"] + normal(SHAPE, 9, 1e-3))}
    return memory(base), memory(tuned)


def made(name) -> tuple[Delta, list]:
    base, tuned = models()
    delta = difference(base, tuned, lineage=Lineage(base="b", tuned="t"))
    entry = delta.entries[name]
    return delta, list(bargains(entry, Study(entry.spec, entry.parts[0].term.rows(0, 160))))


def test_a_merge_offers_its_factors_and_nothing_else_any():
    (factors,) = made("a")[1]
    assert factors.codec == Lowrank(rank=2)
    assert factors.nbytes == 2 * 2 * (160 + 120)
    assert factors.error > 0
    assert made("b")[1] == []
    assert made("c")[1] == []


@pytest.mark.parametrize("ratio", [6.0])
def test_auto_takes_them_and_their_sizes_are_true(ratio):
    delta = made("a")[0]
    plan = plan_compression(delta, parse_choice("auto"), ratio=ratio)
    rows = {row.name: row for row in plan.rows}
    assert rows["b"].action == "kept"
    encoder = Encoder.of(delta, plan)
    (factors,) = encoder.entry("a").parts
    assert factors.term.kind == "lowrank"
    assert factors.term.rank == 2
    assert encoder.entry("b").parts[0].term.solid().nbytes == plan.forecasts["b"].nbytes
