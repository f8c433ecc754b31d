"""The rank of an adapter: one that engines have room for, and large enough for the energy that is asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import RecipeError

__all__ = ["SERVED", "check_rank", "rank_for"]

# What vLLM accepts as max_lora_rank; slots are of this size whatever an adapter needs.
SERVED = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def check_rank(rank: int) -> None:
    """RecipeError for a rank that vLLM has no slots for."""
    if not 1 <= rank <= SERVED[-1]:
        raise RecipeError(
            f"rank {rank} is not within 1..{SERVED[-1]}", remedy=f"engines have slots for {', '.join(map(str, SERVED))}"
        )


def rank_for(spectra: Mapping[str, NDArray[np.float64]], energy: float) -> int:
    """The smallest served rank at which all matrices together keep the share `energy` of their squared singular values
    (`spectra`, descending); the largest one where none does."""
    if not 0 < energy <= 1:
        raise RecipeError(f"energy {energy} is not within 0..1", remedy="0.95 keeps 95 % of the squared delta")
    whole = sum(float(s.sum()) for s in spectra.values())
    for rank in SERVED:
        if sum(float(s[:rank].sum()) for s in spectra.values()) >= energy * whole * (1 - 1e-9):
            return rank
    return SERVED[-1]
