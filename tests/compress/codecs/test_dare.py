"""Dropping and rescaling: unbiased, in the planned bytes, with the expected error."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.codecs.dare import Dare
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study, offers
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

ROWS = np.random.default_rng(0).standard_normal((128, 256)).astype(np.float32)
SPEC = TensorSpec(ROWS.shape, "BF16")


def encode(codec, budget=None, rows=ROWS, model="m"):
    return codec.encode(rows, Context(Site("w", model), TensorSpec(rows.shape, "BF16"), budget))[0]


def loss(codec, budget=None):
    return float(((encode(codec, budget).rows(0, 128) - ROWS) ** 2).sum() / (ROWS**2).sum())


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 16, 32])
@pytest.mark.parametrize("per_element", [4.0, 1.0, 0.25, 0.01])
def test_the_budget_is_met_to_the_last_survivor(bits, per_element):
    codec, budget = Dare(bits=bits), int(ROWS.size * per_element / 8)
    term = encode(codec, budget)
    assert term.nbytes == codec.nbytes(SPEC, budget) <= budget
    kept = int(term.counts.sum())
    assert kept == ROWS.size or budget - term.nbytes <= 1 + max(1, bits // 8) + 2 * (kept % 128 == 0)


def test_survivors_are_divided_by_the_share_that_is_left():
    made = encode(Dare(density=0.25, bits=32)).rows(0, 128)
    kept = made != 0
    assert kept.sum() == ROWS.size // 4
    assert np.array_equal(made[kept], (ROWS / np.float32(0.25))[kept])
    plain = encode(Dare(density=0.25, bits=32, rescale=False)).rows(0, 128)
    assert np.array_equal(plain, ROWS * kept)
    other = encode(Dare(density=0.25, bits=32, q=0.5)).rows(0, 128)
    assert np.array_equal(other, ROWS / np.float32(0.5) * kept)


def test_over_many_seeds_the_mean_is_the_delta():
    rows = ROWS[:8, :32]
    made = [encode(Dare(density=0.5, bits=8, seed=seed), rows=rows).rows(0, 8) for seed in range(400)]
    assert np.abs(np.mean(made, axis=0) - rows).max() < 4.5 * np.abs(rows).max() / np.sqrt(400)


def test_the_mask_follows_the_seed_the_model_and_the_tensor():
    made = [encode(Dare(density=0.5, seed=s), model=m).key for s in (0, 1) for m in ("m", "n")]
    assert len(set(made)) == 4
    assert encode(Dare(density=0.5)).key == made[0]


@pytest.mark.parametrize("codec", [Dare(), Dare(rescale=False), Dare(q=0.5), Dare(bits=2), Dare(bits=16)])
def test_offers_say_what_will_be_lost(codec):
    for offer in offers(codec, Study(SPEC, ROWS)):
        assert offer.nbytes == encode(offer.codec).nbytes
        assert offer.error / float((ROWS**2).sum()) == pytest.approx(loss(offer.codec), rel=0.1, abs=1e-4)
    assert [offer.codec.density for offer in offers(Dare(density=0.3), Study(SPEC, ROWS))] == [0.3]


def test_with_inputs_an_offer_is_of_the_outputs():
    x = np.random.default_rng(1).standard_normal((300, 256)) * np.linspace(0.1, 2, 256)
    study = Study(SPEC, ROWS, Hessian(x.T @ x, 1, 300))
    for offer in list(offers(Dare(), study))[1:4]:
        assert offer.error == pytest.approx(study.error(ROWS - encode(offer.codec).rows(0, 128)), rel=0.15)


@pytest.mark.parametrize("text", ["dare(bits=9)", "dare(group=0)", "dare(density=1.5)", "dare(q=-1.0)"])
def test_bad_parameters(text):
    with pytest.raises(RecipeError, match="dare"):
        parse_codec(text)
