"""Signs and what they leave: the published order, at equal true bytes."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.codecs.sign_lowrank import SignLowrank
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study, offers
from deltakit.delta.site import Site
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.sign import Sign
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

N = 512
SPEC = TensorSpec((N, N), "BF16")
# share of energy in a power-law spectrum, its power, and the squared errors at 2 bits measured for n = 1024 without
# scales: factors of 16 bits, of 4 bits
KNOWN = [(0.9, 1.0, 0.173, 0.126), (0.7, 0.7, 0.251, 0.178), (0.4, 0.5, 0.307, 0.217), (0.0, 0.0, 0.323, 0.230)]


def delta(share, power, n=N):
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    low, flat = (u * np.arange(1, n + 1.0) ** -power) @ v.T, rng.standard_normal((n, n))
    mixed = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat / np.linalg.norm(flat)
    return mixed.astype(np.float32)


def loss(rows, terms):
    made = sum(term.rows(0, term.spec.rows) for term in terms)
    return float(((made - rows) ** 2).sum() / (rows**2).sum())


def encode(codec, rows, bits=None, hessian=None):
    spec = TensorSpec(rows.shape, "BF16")
    budget = None if bits is None else int(rows.size * bits / 8)
    return codec.encode(rows, Context(Site("w"), spec, budget, hessian))


@pytest.mark.parametrize(("share", "power", "floats", "four"), KNOWN)
def test_two_bits_lose_what_was_measured(share, power, floats, four):
    """n = 512 loses up to 5 % more than 1024: ranks are fewer, and scales count."""
    rows = delta(share, power)
    coded = loss(rows, encode(SignLowrank(bits=4), rows, 2.0))
    assert coded == pytest.approx(four, rel=0.06)
    assert loss(rows, encode(SignLowrank(bits=16), rows, 2.0)) == pytest.approx(floats, rel=0.06)
    assert loss(rows, encode(SignLowrank(), rows, 2.0)) < 0.8 * coded  # every direction in the bits it is worth


def test_signs_first_then_the_rest_within_the_budget():
    rows = delta(0.4, 0.5, 128)
    for codec in (SignLowrank(), SignLowrank(bits=8), SignLowrank(scale="row"), SignLowrank(bits=16)):
        sign, low = encode(codec, rows, 2.0)
        assert isinstance(sign, Sign)
        assert isinstance(low, LowRank)
        assert np.array_equal(sign.rows(0, 128) > 0, rows > 0)
        assert (
            sign.nbytes + low.nbytes <= codec.nbytes(TensorSpec(rows.shape, "BF16"), 128 * 128 // 4) <= 128 * 128 // 4
        )
    assert encode(SignLowrank(bits=3, rank=7), rows)[1].bands == ((3, 7),)
    assert encode(SignLowrank(rank=7), rows)[1].bands == ((4, 7),)


def test_zeros_are_paid_for_out_of_the_ranks():
    rows = delta(0.4, 0.5, 128)
    rows[np.random.default_rng(1).random(rows.shape) < 0.8] = 0
    sign, low = encode(SignLowrank(zeros="auto"), rows, 2.5)
    assert sign.mask is not None
    assert sign.nbytes + low.nbytes <= rows.size * 2.5 / 8


def test_what_is_all_signs_needs_no_ranks():
    rows = np.where(delta(0.0, 0.0, 64) > 0, np.float32(0.5), np.float32(-0.5))
    assert len(encode(SignLowrank(), rows, 2.0)) == 1


@pytest.mark.parametrize("codec", [SignLowrank(), SignLowrank(bits=4)])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_offers_say_what_will_be_lost(codec, share):
    rows = delta(share, 0.5, 256)
    study = Study(TensorSpec(rows.shape, "BF16"), rows)
    for offer in list(offers(codec, study))[2:6]:
        terms = offer.codec.encode(rows, Context(Site("w"), study.spec, offer.budget))
        assert sum(term.nbytes for term in terms) <= offer.nbytes
        assert offer.error / study.energy == pytest.approx(loss(rows, terms), rel=0.15)


def test_with_inputs_the_outputs_count():
    rows = delta(0.4, 0.5, 128)
    x = np.random.default_rng(2).standard_normal((500, 128)) * np.geomspace(0.05, 3, 128)
    hessian = Hessian(x.T @ x, 1, 500)
    study = Study(TensorSpec(rows.shape, "BF16"), rows, hessian)
    known, blind = (encode(SignLowrank(), rows, 2.0, h) for h in (hessian, None))
    error = [study.error(rows - sum(t.rows(0, 128) for t in terms)) for terms in (known, blind)]
    assert error[0] < 0.75 * error[1]


@pytest.mark.parametrize("text", ["sign_lowrank(bits=9)", "sign_lowrank(rank=-1)", "sign_lowrank(scale='odd')"])
def test_bad_parameters(text):
    with pytest.raises(RecipeError, match="sign"):
        parse_codec(text)
