"""Centred merging keeps the mean where models agree, and every model where all directions are kept."""

from __future__ import annotations

import numpy as np

from deltakit.merge.method import Group
from deltakit.merge.reduce.centered import Centered
from support.flows import collect, flow


def group(*deltas: object) -> Group:
    flows = tuple(flow({"a.weight": d}) for d in deltas)
    return Group(flows, (1.0,) * len(flows), lambda *_: np.zeros((1, 1), np.float32))


def test_models_that_agree_are_their_mean() -> None:
    one = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    assert np.allclose(collect(Centered().over(group(one, one)))["a.weight"], one, atol=1e-6)


def test_all_directions_around_the_mean_sum_to_nothing() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((2, 6, 5)).astype(np.float32)
    made = collect(Centered(rank=1.0).over(group(one, two)))["a.weight"]
    assert np.allclose(made, (one + two) / 2, atol=1e-5)
