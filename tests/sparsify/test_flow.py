"""Flows: composition in order, and what a delta's flow holds."""

from dataclasses import replace

import numpy as np

from deltakit import rng
from deltakit.delta.difference import difference
from deltakit.delta.expression import Part
from deltakit.delta.file.container import solid
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.flow import flow_of, through
from deltakit.sparsify.sparse_delta import sparsify
from deltakit.sparsify.trim import Trim
from support.flows import collect, flow
from support.tensors import memory, normal, pair, tensor


def test_steps_run_from_left_to_right():
    start = flow({"t": np.random.default_rng(0).standard_normal(200)})
    both = through(start, [Drop(0.5), Trim(0.2)])
    assert np.array_equal(collect(both)["t"], collect(Trim(0.2).on(Drop(0.5).on(start)))["t"])
    assert not np.array_equal(collect(both)["t"], collect(through(start, [Trim(0.2), Drop(0.5)]))["t"])
    assert len(both.measures) == 1


def test_no_steps_change_nothing():
    start = flow({"t": [1.0, 2.0]})
    assert through(start, []) is start


def test_a_site_counts_elements():
    assert flow({"t": np.zeros((4, 5))}).site("t", 3).start == 15


def test_the_flow_of_a_delta_is_its_shared_float_rows():
    base = memory({"w": tensor(normal((4, 3), 0), "F32")})
    tuned = memory({"w": tensor(normal((6, 3), 1), "F32")})
    made = flow_of(difference(base, tuned), model="x", seed=1)
    assert made.specs["w"].shape == (4, 3)
    assert np.array_equal(collect(made)["w"], normal((6, 3), 1)[:4] - normal((4, 3), 0))


def test_a_stored_mask_is_remembered():
    thin = sparsify(difference(*pair("F32")), [Drop(0.5)], seed=3, name="x")
    stored = thin.map(lambda name, entry: replace(entry, parts=tuple(Part(1.0, solid(p.term)) for p in entry.parts)))
    plain = replace(stored, lineage=replace(stored.lineage, note={}))
    for delta in (thin, stored, plain):
        assert rng.key(3, "x", "a.weight") in flow_of(delta, model="y", seed=3).drawn("a.weight")
