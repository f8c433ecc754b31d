"""Ranks that engines have room for. Run: pytest tests/compress/export"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.export.ranks import SERVED, check_rank, rank_for
from deltakit.errors import RecipeError


@pytest.mark.parametrize("rank", [0, -1, 513])
def test_a_rank_without_a_slot_is_refused(rank):
    with pytest.raises(RecipeError, match="not within 1..512"):
        check_rank(rank)


def test_the_smallest_rank_that_keeps_the_energy():
    spectra = {"a": np.array([8.0] + [1.0] * 8), "b": np.array([16.0, 0.0])}
    assert rank_for(spectra, 0.7) == 1  # 24 of 32
    assert rank_for(spectra, 0.76) == 8
    assert rank_for(spectra, 1.0) == 16
    assert rank_for({"flat": np.ones(2048)}, 0.9) == SERVED[-1]


@pytest.mark.parametrize("energy", [0.0, 1.1, float("nan")])
def test_energy_is_a_share(energy):
    with pytest.raises(RecipeError, match="energy"):
        rank_for({}, energy)
