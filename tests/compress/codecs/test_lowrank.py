"""Truncated SVD in 16 bits. Run: pytest tests/compress/test_lowrank.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context
from deltakit.compress.codecs.lowrank import Lowrank
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec
from support.inputs import activations, moments

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


@pytest.mark.parametrize("axis", [0, 1])
def test_with_known_inputs_it_is_the_best_matrix_for_the_outputs(axis):
    """Against the truncated SVD of the outputs, and against least squares for the factor of the inputs."""
    delta, width = rows(), (60, 40)[axis]
    x = activations(width, 400)
    hessian = Hessian(x.T @ x, axis, 400)
    term = Lowrank(rank=7, dtype="F32").encode(delta, Context(Site("w"), SPEC, None, hessian))[0]
    facing = delta if axis else delta.T
    outputs = x @ facing.T.astype(np.float64)
    best = float((np.linalg.svd(outputs, compute_uv=False)[7:] ** 2).sum())
    error = hessian.error(term.rows(0, 60) - delta)
    assert error == pytest.approx(best, rel=0.01)
    plain = Lowrank(rank=7, dtype="F32").encode(delta, Context(Site("w"), SPEC))[0]
    assert hessian.error(plain.rows(0, 60) - delta) > 1.1 * best
    u, _, v = term.factors()
    left, right = (u, v) if axis else (v, u)
    fitted = np.linalg.lstsq(x @ right.astype(np.float64), outputs, rcond=None)[0]
    assert float(((outputs - x @ right @ fitted) ** 2).sum()) == pytest.approx(error, rel=0.01)
    assert left.shape == fitted.T.shape


@pytest.mark.parametrize("known", [False, True])
def test_offers_are_what_comes_out(known):
    hessian = Hessian(moments(40), 1, 320) if known else None
    study = Study(SPEC, rows(), hessian)
    made = list(Lowrank().offers(study))
    assert [o.nbytes for o in made] == sorted({o.nbytes for o in made})
    for offer in made[::3]:
        term = Lowrank().encode(rows(), Context(Site("w"), SPEC, offer.budget, hessian))[0]
        assert term.nbytes == offer.nbytes
        assert study.error(term.rows(0, 60) - rows()) == pytest.approx(offer.error, rel=0.05, abs=1e-4 * study.energy)
    assert len(list(Lowrank(rank=3).offers(study))) == 1


@pytest.mark.parametrize("bad", [{"rank": -1}, {"dtype": "F64"}, {"dtype": "I8"}])
def test_bad_parameters(bad):
    with pytest.raises(RecipeError, match="lowrank"):
        Lowrank(**bad)
