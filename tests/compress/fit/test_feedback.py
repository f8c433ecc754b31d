"""Coding by decision feedback. Run: pytest tests/compress/fit/test_feedback.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.compress.fit import feedback
from deltakit.compress.fit.carry import carried, shares
from deltakit.compress.fit.feedback import alone, fed
from deltakit.compress.fit.grids import AROUND, INSIDE, quantise
from deltakit.delta.coding.factor import midrise


def problem(rank=40, length=96, seed=0):
    rng = np.random.default_rng(seed)
    gram = torch.from_numpy(np.atleast_2d(np.cov(rng.standard_normal((rank, 3 * rank)))))
    return torch.from_numpy(rng.standard_normal((rank, length))), gram


def by_inverse(seen, gram, codes):
    """The obvious form: the least-squares fit, then each error carried to the ranks behind, the last rank first."""
    target = torch.linalg.solve(gram, seen).flip(0).numpy()
    return carried(target, shares(gram.flip(0, 1)), codes[::-1])[:, ::-1].T


def every_start(monkeypatch):
    monkeypatch.setattr(feedback, "AROUND", AROUND)
    monkeypatch.setattr(feedback, "INSIDE", INSIDE)


@pytest.mark.parametrize("rank", [1, 5, 40])
def test_it_is_the_carried_least_squares_fit(monkeypatch, rank):
    every_start(monkeypatch)
    seen, gram = problem(rank)
    codes = ([8, 3] + [2] * 30 + [1] * 8)[:rank]
    got = fed(seen, torch.linalg.cholesky(gram), codes).numpy()
    assert (got == by_inverse(seen, gram, codes)).mean() > 0.9999


def test_float32_gives_the_same_codes_but_for_rounding(monkeypatch):
    every_start(monkeypatch)
    seen, gram = problem()
    codes = [3] * 10 + [2] * 30
    lower = torch.linalg.cholesky(gram)
    wide, narrow = fed(seen, lower, codes), fed(seen.float(), lower.float(), codes)
    assert narrow.dtype == torch.float32
    assert (wide == narrow).double().mean() > 0.99


def error(seen, gram, codes, stored):
    """What each rank's best scale leaves of xᵀGx - 2 xᵀs, per column of the other factor."""
    c = stored.double()
    normal = (c @ c.T) * gram
    return float(-((c * seen).sum(dim=1)) @ torch.linalg.solve(normal, (c * seen).sum(dim=1)))


def test_fewer_starts_cost_next_to_nothing(monkeypatch):
    seen, gram = problem(48, 256, 3)
    lower = torch.linalg.cholesky(gram)
    for bits in (1, 2, 3, 4):
        few = error(seen, gram, bits, fed(seen, lower, [bits] * 48))
        with monkeypatch.context() as patch:
            every_start(patch)
            many = error(seen, gram, bits, fed(seen, lower, [bits] * 48))
        assert few < 0.99 * many  # both negative: what is explained


def test_blocks_change_nothing(monkeypatch):
    seen, gram = problem()
    lower = torch.linalg.cholesky(gram)
    whole = fed(seen, lower, [2] * 40)
    monkeypatch.setattr(feedback, "_RANKS", 7)
    assert (fed(seen, lower, [2] * 40) == whole).double().mean() > 0.999


def test_alone_every_rank_is_quantised_for_itself(monkeypatch):
    every_start(monkeypatch)
    values = torch.from_numpy(np.random.default_rng(4).standard_normal((6, 50)))
    got = alone(values, [8, 3, 2, 2, 1, "BF16"])
    for k, bits in enumerate((8, 3, 2, 2, 1)):
        assert np.array_equal(got[k], midrise(bits)[quantise(values[k].numpy(), bits)[0]])
    assert float(torch.linalg.vector_norm(got[5])) == pytest.approx(1, abs=4e-3)


def test_the_callers_numbers_are_left_alone():
    seen, gram = problem(3, 9)
    before = seen.clone()
    fed(seen, torch.linalg.cholesky(gram), [2] * 3)
    alone(seen, [2] * 3)
    assert torch.equal(seen, before)


def test_float_ranks_are_unit_vectors_rounded():
    made = fed(torch.tensor([[3.0, 4.0]]), torch.ones(1, 1), ["BF16"])
    assert made.ravel().tolist() == [0.6015625, 0.80078125]
