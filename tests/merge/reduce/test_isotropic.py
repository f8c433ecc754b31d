"""Isotropic merging where the deltas are not of full rank: directions that no one took stay empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from deltakit.merge.method import Group
from deltakit.merge.reduce.isotropic import Isotropic, IsotropicSubspaces
from deltakit.merge.reduce.per_matrix import PerMatrix
from support.flows import collect, flow


def merged(reducer: PerMatrix, deltas: Sequence[Any]) -> Any:
    flows = tuple(flow({"a.weight": d}) for d in deltas)
    return collect(reducer.over(Group(flows, (1.0,) * len(flows), lambda *_: np.zeros(1))))["a.weight"]


def low(seed: int, rank: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((20, rank)) @ rng.standard_normal((rank, 16))).astype(np.float32)


@pytest.mark.parametrize("reducer", [Isotropic(), IsotropicSubspaces(), IsotropicSubspaces(common=0.3)])
def test_the_spectrum_is_flat_over_the_rank(reducer: PerMatrix) -> None:
    values = np.linalg.svd(merged(reducer, [low(0), low(1)]), compute_uv=False)
    assert np.allclose(values[:6], values[0], rtol=1e-5)
    assert values[6] < 1e-4 * values[0]


def test_the_length_is_the_mean_of_the_sum() -> None:
    want = np.linalg.svd(low(0) + low(1), compute_uv=False)[:6].mean()
    assert np.linalg.svd(merged(Isotropic(), [low(0), low(1)]), compute_uv=False)[0] == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("reducer", [Isotropic(), IsotropicSubspaces()])
def test_deltas_that_cancel_leave_nothing(reducer: PerMatrix) -> None:
    assert not merged(reducer, [low(0), -low(0)]).any()
