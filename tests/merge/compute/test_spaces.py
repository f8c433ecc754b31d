"""Shared bases: nothing is lost in them, and factors give what matrices give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deltakit.delta.measure.threads import one_thread
from deltakit.merge.compute.spaces import CoreSpace, Knots, Space

SPACES = [Knots(), CoreSpace()]
named = pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)


def factors(*ranks: int, shape: tuple[int, int] = (20, 14)) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    return [tuple(rng.standard_normal((n, r)).astype(np.float32) for n in shape) for r in ranks]  # type: ignore[misc]


@named
@pytest.mark.parametrize("ranks", [(3, 3), (2, 5), (0, 4), (9, 9, 9)])
def test_every_delta_comes_back(space: Space, ranks: tuple[int, ...]) -> None:
    found = factors(*ranks)
    full = [u @ v.T for u, v in found]
    with one_thread():
        for made in (
            space.of_factors(found, space.shape((20, 14), len(ranks), sum(ranks))),
            space.of_matrices(full, space.shape((20, 14), len(ranks), None)),
        ):
            for part, want in zip(made.parts, full, strict=True):
                assert np.allclose(made.lift(part), want, atol=1e-4)


@named
def test_coordinates_are_small_where_factors_are(space: Space) -> None:
    size = space.shape((20, 14), 2, 5)
    with one_thread():
        made = space.of_factors(factors(2, 3), size)
    assert size[0] == 5
    assert all(p.shape == size for p in made.parts)
    assert np.allclose(made.left.T @ made.left, np.eye(5), atol=1e-5)


@named
def test_directions_that_no_one_took_are_zeros(space: Space) -> None:
    ((u, v),) = factors(3)
    with one_thread():
        made = space.of_factors([(u, v), (2 * u, v)], space.shape((20, 14), 2, 6))
    assert not made.parts[0][3:].any()
    assert not made.left[:, 3:].any()


def test_a_core_has_the_spectrum_of_its_delta() -> None:
    found = factors(3, 4)
    with one_thread():
        made = CoreSpace().of_factors(found, (7, 7))
    for (u, v), part in zip(found, made.parts, strict=True):
        want = np.linalg.svd(u @ v.T, compute_uv=False)[:7]
        assert np.allclose(np.linalg.svd(part, compute_uv=False), want, atol=1e-4)


def test_knots_keeps_the_inputs_of_the_deltas() -> None:
    """S V_iᵀ is all of delta_i but for an orthonormal basis, so the Gram matrices over inputs agree."""
    found = factors(3, 4)
    with one_thread():
        made = Knots().of_factors(found, (7, 14))
    for (u, v), part in zip(found, made.parts, strict=True):
        full = u @ v.T
        assert np.allclose(part.T @ part, full.T @ full, atol=1e-3)
