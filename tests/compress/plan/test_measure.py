"""The measuring pass. Run: pytest tests/compress/plan/test_measure.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.hessian import Hessian
from deltakit.compress.plan.auto import Auto
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.measure import measure
from deltakit.compress.plan.plan import plan_rows
from deltakit.compress.plan.planning import plan_compression
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.terms.lowrank import LowRank
from deltakit.errors import InputError
from deltakit.tensors import TensorSpec
from support.spectra import delta_of, shared_delta

PARTS = [shared_delta((40, 30), 0.7, 1), shared_delta((24, 48), 0.0, 2), np.zeros((20, 20), np.float32)]


def ladders(delta, auto=None, **options):
    rows = plan_rows(delta, parse_choice("auto"))
    return measure(delta, rows, dict.fromkeys(delta.specs, auto or Auto()), **options)


def test_every_matrix_gets_offers_and_its_energy():
    found = ladders(delta_of(PARTS))
    assert list(found) == ["w00.weight", "w01.weight", "w02.weight"]
    for name, part in zip(found, PARTS, strict=True):
        assert found[name].energy == pytest.approx(float((part.astype(np.float64) ** 2).sum()), rel=1e-3)
        assert all(o.nbytes > 0 and o.error >= 0 for o in found[name].offers)
        assert {o.codec.name for o in found[name].offers} >= {"svd_mixed"} or not part.any()
    assert found["w02.weight"].offers == ()  # it equals its base's


def test_threads_change_nothing():
    delta = delta_of(PARTS)
    assert ladders(delta, threads=1) == ladders(delta, threads=3)


def test_only_the_codecs_that_are_asked_for():
    found = ladders(delta_of(PARTS[:1]), Auto("svd_mixed(rounds=1)"))["w00.weight"]
    assert {o.codec.rounds for o in found.offers} == {1}


def test_relative_errors_count_small_deltas_as_much_as_large_ones():
    delta = delta_of([PARTS[0], PARTS[0] * np.float32(100)])
    plain, relative = ladders(delta), ladders(delta, Auto(weigh="relative"))
    assert [ladder.weight for ladder in plain.values()] == [1.0, 1.0]
    counts = [ladder.weight * ladder.energy for ladder in relative.values()]
    assert counts == pytest.approx([1200, 1200])


def test_with_moments_errors_are_those_of_the_outputs():
    delta = delta_of(PARTS[:1])
    x = np.random.default_rng(0).standard_normal((64, 30)) * np.linspace(0.1, 3, 30)
    hessian = Hessian(x.T @ x, 1, 64)
    found = ladders(delta, hessians={"w00.weight": hessian})["w00.weight"]
    outputs = x @ delta.rows("w00.weight", 0, 40).T.astype(np.float64)
    assert found.energy == pytest.approx(float((outputs**2).sum()) / 64)


def test_without_moments_beside_others_inputs_count_as_white():
    base = delta_of([*PARTS[:2], PARTS[0]])
    names = ["layer.weight", "other.weight", "embed_tokens.weight"]
    delta = Delta(dict(zip(names, base.entries.values(), strict=True)))
    found = ladders(delta, hessians={"layer.weight": Hessian(9.0 * 5 * np.eye(30), 1, 5)})
    alone = ladders(delta)
    for name, factor in zip(names, (9.0, 9.0, 1 / 40), strict=True):
        assert found[name].energy == pytest.approx(factor * alone[name].energy)
        assert found[name].offers[0].error == pytest.approx(factor * alone[name].offers[0].error, rel=0.05)


def test_what_is_stored_already_may_be_kept():
    spec = TensorSpec((40, 30), "BF16")
    term = LowRank.of(spec, np.ones((40, 2), np.float32), np.ones((30, 2), np.float32))
    delta = Delta({"w": Entry(spec, 40, (Part(1.0, term),))})
    offer = next(o for o in ladders(delta)["w"].offers if o.codec.name == "kept")
    assert (offer.nbytes, offer.error) == (term.nbytes, 0.0)


def test_a_few_changes_may_be_kept_bit_for_bit():
    delta = delta_of([PARTS[0] * (np.random.default_rng(0).random((40, 30)) < 0.01), PARTS[0]], "BF16")
    found = ladders(delta)
    offer = next(o for o in found["w00.weight"].offers if o.codec.name == "kept")
    assert offer.nbytes < 40 * 30 / 8
    assert offer.error == 0
    assert not [o for o in found["w01.weight"].offers if o.codec.name == "kept"]
    plan = plan_compression(delta, parse_choice("auto"), ratio=10)
    assert [row.action for row in plan.rows] == ["kept", "codec"]
    assert plan.forecasts["w00.weight"].nbytes == offer.nbytes


def test_numbers_that_are_not_finite_are_named():
    bad = PARTS[0].copy()
    bad[3, 4] = np.inf
    with pytest.raises(InputError, match=r"w00\.weight.*1 of 1200"):
        ladders(delta_of([bad]))
