"""Signs, scales and zeros. Run: pytest tests/compress/test_sign.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context
from deltakit.compress.codecs.sign import SignCodec
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study, offers
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec


def encode(rows, budget=None, **parameters):
    rows = np.asarray(rows, np.float32)
    return SignCodec(**parameters).encode(rows, Context(Site("w"), TensorSpec(rows.shape, "BF16"), budget))[0]


def with_zeros(share, shape=(100, 64)):
    rng = np.random.default_rng(0)
    return (rng.standard_normal(shape) * (rng.random(shape) >= share)).astype(np.float32)


def test_the_scale_is_the_mean_magnitude():
    rows = np.array([[1.0, -3.0], [5.0, -7.0]], np.float32)
    assert encode(rows).rows(0, 2).tolist() == [[4, -4], [4, -4]]
    assert encode(rows, scale="row").rows(0, 2).tolist() == [[2, -2], [6, -6]]
    assert encode(rows, scale="column").rows(0, 2).tolist() == [[3, -5], [3, -5]]


@pytest.mark.parametrize("scale", ["scalar", "row", "column"])
def test_no_other_scale_is_better(scale):
    rows = with_zeros(0.0)
    term = encode(rows, scale=scale)
    best = float(((term.rows(0, 100) - rows) ** 2).sum())
    for factor in (0.98, 1.02):
        assert float(((term.rows(0, 100) * factor - rows) ** 2).sum()) > best


@pytest.mark.parametrize("scale", ["scalar", "row", "column"])
def test_kept_zeros_are_zeros(scale):
    rows = with_zeros(0.3)
    made = encode(rows, scale=scale, zeros="keep").rows(0, 100)
    assert np.array_equal(made == 0, rows == 0)
    assert np.array_equal(np.sign(made), np.sign(rows))


def test_spread_zeros_have_no_bias():
    rows = with_zeros(0.5)
    made = encode(rows, zeros="spread").rows(0, 100)[rows == 0]
    assert abs(int(np.sign(made).sum())) <= 1


def test_zeros_are_kept_where_that_pays():
    assert encode(with_zeros(0.9)).mask is not None
    assert encode(with_zeros(0.9)).nbytes < 800  # also smaller than a bit each
    assert encode(with_zeros(0.02)).mask is None
    rows = with_zeros(0.0)
    rows[90:] = 0  # a tenth, in whole rows: the mask is next to free
    assert encode(rows).mask is not None


def test_a_budget_without_room_for_a_mask():
    rows = with_zeros(0.6)
    assert encode(rows).nbytes > 804
    assert encode(rows, budget=804).nbytes == 804


@pytest.mark.parametrize("scale", ["scalar", "row", "column"])
@pytest.mark.parametrize("zeros", ["auto", "keep", "spread"])
def test_nothing_is_nothing(scale, zeros):
    made = encode(np.zeros((9, 5)), scale=scale, zeros=zeros)
    assert not made.rows(0, 9).any()


@pytest.mark.parametrize("bad", [{"scale": "diagonal"}, {"zeros": "drop"}])
def test_bad_parameters(bad):
    with pytest.raises(RecipeError, match="sign"):
        SignCodec(**bad)


@pytest.mark.parametrize("scale", ["scalar", "row", "column"])
def test_known_inputs_are_used(scale):
    rows = with_zeros(0.0)
    x = np.random.default_rng(3).standard_normal((300, 64)) * np.geomspace(0.05, 2, 64)
    study = Study(TensorSpec(rows.shape, "BF16"), rows, Hessian(x.T @ x, 1, 300))
    known = SignCodec(scale=scale).encode(rows, Context(Site("w"), study.spec, None, study.hessian))[0]
    assert study.error(rows - known.rows(0, 100)) <= study.error(rows - encode(rows, scale=scale).rows(0, 100))


@pytest.mark.parametrize("zeros", [0.0, 0.5])
@pytest.mark.parametrize("known", [False, True])
def test_offers_say_what_will_be_lost(zeros, known):
    rows = with_zeros(zeros)
    x = np.random.default_rng(3).standard_normal((300, 64)) * np.geomspace(0.5, 2, 64)
    study = Study(TensorSpec(rows.shape, "BF16"), rows, Hessian(x.T @ x, 1, 300) if known else None)
    for offer in offers(SignCodec(), study):
        term = offer.codec.encode(rows, Context(Site("w"), study.spec, None, study.hessian))[0]
        assert offer.nbytes == term.nbytes
        assert offer.error == pytest.approx(study.error(rows - term.rows(0, 100)), rel=0.06 if known else 1e-3)


@pytest.mark.parametrize("zeros", ["auto", "keep", "spread"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_offers_are_formulas_also_with_zeros(zeros, share, monkeypatch):
    """Nothing is coded, and yet sizes are true and errors right."""
    rows = with_zeros(share, (60, 70))
    rows[:4] = 0
    study, codec = Study(TensorSpec(rows.shape, "BF16"), rows), SignCodec(zeros=zeros)
    with monkeypatch.context() as patch:
        patch.setattr(SignCodec, "signs", None)
        found = list(offers(codec, study))
    for offer in found:
        term = offer.codec.encode(rows, Context(Site("w"), study.spec, offer.nbytes))[0]
        assert offer.nbytes == term.nbytes
        assert offer.error == pytest.approx(study.error(rows - term.rows(0, 60)), rel=2e-3)
