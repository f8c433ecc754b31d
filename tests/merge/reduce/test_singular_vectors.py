"""What sets Task Singular Vectors apart: tasks that span the same share it, orthogonal ones stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deltakit.merge.method import Group
from deltakit.merge.reduce.singular_vectors import SingularVectors
from support.flows import collect, flow


def merged(deltas: Sequence[Any], weights: Sequence[float]) -> Any:
    flows = tuple(flow({"a.weight": d}) for d in deltas)
    return collect(SingularVectors().over(Group(flows, tuple(weights), lambda *_: np.zeros(1))))["a.weight"]


def test_orthogonal_tasks_are_added() -> None:
    one, two = np.zeros((2, 4, 6), np.float32)
    one[0, 1], one[1, 0], two[2, 3], two[3, 5] = 2, 1, 3, 4
    assert np.allclose(merged([one, two], [1, 0.5]), one + 0.5 * two, atol=1e-6)


def test_a_task_met_twice_counts_once() -> None:
    rng = np.random.default_rng(0)
    low = (rng.standard_normal((8, 2)) @ rng.standard_normal((2, 6))).astype(np.float32)
    assert np.allclose(merged([low, low], [1, 1]), low, atol=1e-5)


def test_a_lone_delta_is_a_sum() -> None:
    assert SingularVectors().coefficients([0.7]) == (0.7,)
    assert SingularVectors().coefficients([1.0, 1.0]) is None
