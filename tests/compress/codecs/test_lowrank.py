"""Truncated SVD in 16 bits. Run: pytest tests/compress/test_lowrank.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context
from deltakit.compress.codecs.lowrank import Lowrank
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

SPEC = TensorSpec((60, 40), "BF16")


def rows(seed=0):
    return np.random.default_rng(seed).standard_normal((60, 40)).astype(np.float32) * np.float32(1e-3)


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32"])
def test_is_the_best_matrix_of_its_rank(dtype):
    delta = rows()
    term = Lowrank(rank=7, dtype=dtype).encode(delta, Context(Site("w"), SPEC))[0]
    assert term.bands == ((dtype, 7),)
    best = float((np.linalg.svd(delta.astype(np.float64))[1][7:] ** 2).sum())
    assert float(((term.rows(0, 60) - delta) ** 2).sum()) == pytest.approx(best, rel=2e-3)


def test_the_rank_fills_the_budget():
    term = Lowrank().encode(rows(), Context(Site("w"), SPEC, 1000))[0]
    assert term.rank == 1000 // (2 * 100)
    assert term.nbytes == 1000


def test_a_lora_comes_back():
    rng = np.random.default_rng(2)
    delta = (rng.standard_normal((60, 3)) @ rng.standard_normal((3, 40))).astype(np.float32)
    term = Lowrank(dtype="F32").encode(delta, Context(Site("w"), SPEC, 4000))[0]
    assert term.rank == 3
    assert np.allclose(term.rows(0, 60), delta, atol=1e-5)


def test_small_deltas_keep_their_digits_in_float16():
    delta = rows() * np.float32(1e-6)
    term = Lowrank(rank=40).encode(delta, Context(Site("w"), SPEC))[0]
    assert float(((term.rows(0, 60) - delta) ** 2).sum() / (delta**2).sum()) < 1e-4


@pytest.mark.parametrize("bad", [{"rank": -1}, {"dtype": "F64"}, {"dtype": "I8"}])
def test_bad_parameters(bad):
    with pytest.raises(RecipeError, match="lowrank"):
        Lowrank(**bad)
