"""Leaving a matrix as it came. Run: pytest tests/compress/plan/test_kept.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context
from deltakit.compress.plan.kept import Kept
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec


def test_it_takes_what_it_took_and_encodes_nothing():
    spec = TensorSpec((4, 4), "BF16")
    kept = Kept()
    assert kept.fixed
    assert (kept.least(spec), kept.nbytes(spec, 12), kept.nbytes(spec, None)) == (0, 12, 0)
    with pytest.raises(RecipeError):
        kept.encode(np.zeros((4, 4), np.float32), Context(Site("w"), spec))
