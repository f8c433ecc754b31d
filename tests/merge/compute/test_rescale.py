"""What a searched factor is, apart from the search."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit import rng
from deltakit.errors import InputError, RecipeError
from deltakit.merge.compute.rescale import DropSearched, _best


def test_candidates_lie_between_the_density_and_one() -> None:
    made = DropSearched(0.01, steps=10).candidates
    assert len(made) == 11
    assert made[0] == rng.probability(0.01)
    assert made[-1] == 1.0
    assert np.allclose(np.diff(np.log(made)), np.log(100) / 10, rtol=1e-4)


def test_traits() -> None:
    assert DropSearched(1.0).idle
    assert not DropSearched(0.5).idle
    assert DropSearched(1.0).unbiased
    assert not DropSearched(0.5).unbiased


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(RecipeError, match="did you mean 'layer'|no scope 'layers'"):
        DropSearched(0.5, "layers")
    with pytest.raises(RecipeError, match="steps 0"):
        DropSearched(0.5, steps=0)
    with pytest.raises(RecipeError):
        DropSearched(0.0)


def test_the_least_error_wins_and_the_smallest_of_equals() -> None:
    assert _best({0.5: 2.0, 0.1: 1.0, 1.0: 1.0}) == 0.1
    assert _best({0.5: 2.0, 0.1: float("nan"), 1.0: float("inf")}) == 0.5
    with pytest.raises(InputError, match="not finite"):
        _best({0.5: float("nan")})
