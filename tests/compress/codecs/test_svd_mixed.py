"""Mixed-precision SVD. Run: pytest tests/compress/test_svd_mixed.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.compress.codec import Context
from deltakit.compress.codecs.lowrank import Lowrank
from deltakit.compress.codecs.sign import SignCodec
from deltakit.compress.codecs.svd_mixed import SvdMixed
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec
from support.inputs import activations, moments


def delta(n, share, power, seed=0):
    """A share of energy in a power-law spectrum, the rest Gaussian."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    low, flat = (u * np.arange(1, n + 1.0) ** -power) @ v.T, rng.standard_normal((n, n))
    mixed = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat / np.linalg.norm(flat)
    return mixed.astype(np.float32)


def error(codec, rows, budget):
    spec = TensorSpec(rows.shape, "BF16")
    term = codec.encode(rows, Context(Site("w"), spec, budget))[0]
    assert codec.fixed or term.nbytes <= budget
    return float(((term.rows(0, len(rows)) - rows) ** 2).sum() / (rows**2).sum())


@pytest.mark.parametrize(
    ("share", "power", "most"), [(0.9, 1.0, 0.105), (0.7, 0.7, 0.29), (0.4, 0.5, 0.46), (0, 0, 0.52)]
)
def test_error_at_one_true_bit_per_parameter(share, power, most):
    """Near the figures of the design at n = 160, all scales counted; steep spectra beat the other codecs."""
    rows = delta(160, share, power)
    mixed = error(SvdMixed(), rows, 3200)
    assert mixed < most
    assert mixed < error(Lowrank(), rows, 3200)
    assert (mixed < error(SignCodec(), rows, None)) == (share > 0.5)


def test_more_rounds_are_no_worse():
    rows = delta(96, 0.7, 0.7)
    errors = [error(SvdMixed(rounds=r), rows, 1152) for r in (1, 2, 3, 6)]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.97 * errors[0]


def test_more_bytes_are_better():
    rows = delta(64, 0.4, 0.5)
    errors = [error(SvdMixed(), rows, 64 * 64 * bits // 8) for bits in (1, 2, 3, 4, 6, 8, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_explicit_bands_are_what_is_stored():
    rows = delta(64, 0.7, 0.7)
    spec = TensorSpec((64, 64), "BF16")
    term = SvdMixed(bands="8:2,3:10,2:20").encode(rows, Context(Site("w"), spec))[0]
    assert term.bands == ((8, 2), (3, 10), (2, 20))
    capped = SvdMixed(bands="8:2,3:32,2:968").encode(rows, Context(Site("w"), spec))[0]
    assert capped.bands == ((8, 2), (3, 32), (2, 30))


def test_a_lora_is_coded_at_its_rank_with_the_bytes_that_frees():
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((128, 4)) @ rng.standard_normal((4, 96))).astype(np.float32)
    spec = TensorSpec((128, 96), "BF16")
    term = SvdMixed().encode(rows, Context(Site("w"), spec, 128 * 96 // 8))[0]
    assert term.bands == ((8, 4),)
    assert ((term.rows(0, 128) - rows) ** 2).sum() / (rows**2).sum() < 1e-3


def coded(rows, budget, hessian=None, **given):
    """The term and its error for the outputs, over what leaving the delta out would cost."""
    term = SvdMixed(**given).encode(rows, Context(Site("w"), TensorSpec(rows.shape, "BF16"), budget, hessian))[0]
    weigh = hessian or Hessian(np.eye(rows.shape[1]))
    return term, weigh.error(term.rows(0, len(rows)) - rows) / weigh.error(rows)


@pytest.mark.parametrize("share", [0.9, 0.4])
def test_known_inputs_more_than_halve_the_error_of_the_outputs(share):
    rows, hessian = delta(160, share, share), Hessian(moments(160), 1, 1280)
    term, known = coded(rows, 3200, hessian)
    white, _ = coded(rows, 3200)
    assert term.nbytes <= 3200
    assert known < 0.5 * hessian.error(white.rows(0, 160) - rows) / hessian.error(rows)


@pytest.mark.parametrize("shape", [(96, 64), (64, 96)])
def test_inputs_along_the_rows(shape):
    """GPT-2 stores weights as (inputs, outputs): the same numbers, the other way round."""
    rows, gram = delta(96, 0.7, 0.7)[: shape[0], : shape[1]], moments(shape[1])
    term, error = coded(rows, 1000, Hessian(gram, 1))
    turned, same = coded(np.ascontiguousarray(rows.T), 1000, Hessian(gram, 0))
    assert turned.bands == term.bands
    assert same == pytest.approx(error)
    assert np.allclose(turned.rows(0, shape[1]).T, term.rows(0, shape[0]), atol=1e-6)


@pytest.mark.parametrize("outlier", [1e2, 1e4])
def test_outliers_of_the_inputs(outlier):
    """Energies of 1e8 times the others': the outputs of an evenly coded delta are mostly the outliers' error."""
    rows, hessian = delta(96, 0.7, 0.7), Hessian(moments(96, outlier=outlier))
    _, known = coded(rows, 1152, hessian)
    white, _ = coded(rows, 1152)
    assert known < 0.02 * hessian.error(white.rows(0, 96) - rows) / hessian.error(rows)


@pytest.mark.parametrize("rows_seen", [1, 20])
def test_fewer_samples_than_inputs_and_dead_inputs(rows_seen):
    x = activations(64, rows_seen)
    x[:, 3] = 0
    rows = delta(64, 0.7, 0.7)
    term, known = coded(rows, 512, Hessian(x.T @ x, 1, rows_seen))
    assert np.isfinite(term.rows(0, 64)).all()
    assert known < 0.2


def test_white_inputs_are_no_inputs():
    rows = delta(64, 0.7, 0.7)
    _, blind = coded(rows, 512)
    term, _ = coded(rows, 512, Hessian(np.eye(64), 1, 64))
    error = float(((term.rows(0, 64) - rows) ** 2).sum() / (rows**2).sum())
    assert error == pytest.approx(blind, rel=0.05)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (63, 63), (1, 63), (63, 1), (2, 40), (63, 64)])
@pytest.mark.parametrize("kind", ["noise", "zero", "flat", "orthogonal"])
def test_small_and_degenerate(shape, kind, known):
    rng = np.random.default_rng(3)
    rows = {
        "noise": rng.standard_normal(shape),
        "zero": np.zeros(shape),
        "flat": np.full(shape, 0.25),
        "orthogonal": np.eye(*shape),
    }[kind].astype(np.float32)
    budget = max(SvdMixed().least(TensorSpec(shape, "BF16")), rows.size // 4)
    hessian = Hessian(moments(shape[1])) if known else None
    term = SvdMixed().encode(rows, Context(Site("w"), TensorSpec(shape, "BF16"), budget, hessian))[0]
    assert term.nbytes <= budget
    made = term.rows(0, shape[0])
    assert np.isfinite(made).all()
    weigh = hessian or Hessian(np.eye(shape[1]))
    assert weigh.error(made - rows) <= weigh.error(rows) * (1 + 1e-3)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_nothing_at_all(shape):
    spec = TensorSpec(shape, "BF16")
    term = SvdMixed().encode(np.zeros(shape, np.float32), Context(Site("w"), spec, 100))[0]
    assert term.nbytes == SvdMixed().nbytes(spec, 100) == 0


@pytest.mark.parametrize("known", [False, True])
def test_bytes_do_not_depend_on_threads(known):
    rows, hessian = delta(96, 0.7, 0.7), Hessian(moments(96), 1, 768) if known else None
    before, made = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            made.append(coded(rows, 1152, hessian)[0].save())
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1]


def test_ranks_beyond_the_matrix_with_known_inputs():
    term, error = coded(delta(24, 0.7, 0.7), None, Hessian(moments(24)), bands="8:2,3:32,2:968")
    assert term.bands == ((8, 2), (3, 22))
    assert error < 0.1


def test_a_lora_and_its_inputs():
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((128, 4)) @ rng.standard_normal((4, 96))).astype(np.float32)
    term, error = coded(rows, 128 * 96 // 8, Hessian(moments(96)))
    assert term.bands == ((8, 4),)
    assert error < 1e-3


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("share", [0.9, 0.0])
def test_offers_are_what_comes_out(share, known):
    rows, hessian = delta(128, share, 0.8), Hessian(moments(128), 1, 1024) if known else None
    study = Study(TensorSpec((128, 128), "BF16"), rows, hessian)
    made = list(SvdMixed().offers(study))
    sizes, errors = [o.nbytes for o in made], [o.error for o in made]
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    for offer in made[2:11:4]:
        term, _ = coded(rows, offer.budget, hessian)
        assert term.nbytes <= offer.budget
        assert study.error(term.rows(0, 128) - rows) == pytest.approx(offer.error, rel=0.2)
    fixed = list(SvdMixed(bands="8:2,2:30").offers(study))
    assert [o.nbytes for o in fixed] == [SvdMixed(bands="8:2,2:30").least(study.spec)]


@pytest.mark.parametrize("bad", [{"bands": "8"}, {"rounds": 0}, {"damp": -0.1}, {"damp": 11.0}, {"damp": float("nan")}])
def test_bad_parameters(bad):
    with pytest.raises(RecipeError):
        SvdMixed(**bad)
