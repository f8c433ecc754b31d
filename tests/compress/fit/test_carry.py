"""GPTQ along both sides of a factor. Run: pytest tests/compress/fit/test_carry.py"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from deltakit.compress.fit.carry import carried, shares
from deltakit.compress.fit.grids import AROUND, INSIDE, STEP, nearest, quantise
from deltakit.compress.fit.kernels.carry import search_weighted
from deltakit.compress.fit.whiten import Inputs
from deltakit.compress.hessian import Hessian
from deltakit.delta.coding.factor import midrise
from support.inputs import moments


def quadratic(e, gram, rank=None):
    """tr(E H Eᵀ G)."""
    return float(((e @ gram) * (e if rank is None else rank @ e)).sum())


def scaled(x, codes, gram):
    """Stored numbers times each row's best scale for its own moments."""
    s = [(r @ gram @ c) / (c @ gram @ c) for r, c in zip(x, codes, strict=True)]
    return np.array(s)[:, None] * codes


def naive(x, scale, bits, gram, rank):
    """Optimal brain surgery straight from the paper: code one number, solve for all that are still free, each time.
    Numbers are ordered by rank, then by input."""
    whole, left = np.kron(rank, gram), x.ravel().copy()
    out = np.empty_like(left)
    for i in range(left.size):
        k = i // x.shape[1]
        out[i] = nearest(left[i : i + 1], scale[k], bits)[0]
        error = scale[k] * out[i] - left[i]
        free = slice(i + 1, None)
        if i + 1 < left.size:
            left[free] -= np.linalg.solve(whole[free, free], whole[free, i] * error)
    return out.reshape(x.shape)


def ordered(gram, damp=1e-9):
    """Inputs that GPTQ takes in the order that they have."""
    energy = np.diag(gram)
    assert (np.diff(energy) <= 0).all()
    return Inputs.of(Hessian(gram), damp)


def found(x, bits, inputs):
    """The scales that are used for the inputs as they are ordered."""
    return [search_weighted(row, inputs.weights, bits, STEP[bits], AROUND, INSIDE) for row in x]


def falling(width, seed=0):
    """Moments with a falling diagonal."""
    gram = moments(width, seed=seed)
    order = np.argsort(-np.diag(gram))
    return gram[np.ix_(order, order)]


def identity(n):
    return shares(torch.eye(n, dtype=torch.float64))


def test_shares_are_those_of_the_inverse_cholesky_factor():
    gram = torch.from_numpy(moments(12))
    upper = torch.linalg.cholesky(torch.linalg.inv(gram), upper=True)
    assert np.allclose(shares(gram), (upper / torch.diagonal(upper)[:, None]).numpy(), rtol=1e-6, atol=1e-9)


def test_gptq_is_the_papers_recursion():
    gram, x = falling(10), np.random.default_rng(1).standard_normal((3, 10))
    inputs = ordered(gram)
    got = carried(x, identity(3), [2] * 3, inputs).T
    scale = found(x, 2, inputs)
    assert np.array_equal(got, naive(x, scale, 2, inputs.gram.numpy(), np.eye(3)))


def test_errors_go_along_both_sides_as_the_whole_recursion_says():
    rng = np.random.default_rng(2)
    gram, rank, x = falling(7), np.cov(rng.standard_normal((4, 9))), rng.standard_normal((4, 7))
    inputs = ordered(gram)
    got = carried(x, shares(torch.from_numpy(rank)), [3] * 4, inputs).T
    scale = found(x, 3, inputs)
    assert np.array_equal(got, naive(x, scale, 3, inputs.gram.numpy(), rank))


def test_over_ranks_it_is_the_obvious_recursion():
    """Code a column, then fit the columns behind it anew to what is left: that is what the closed form does."""
    rng = np.random.default_rng(3)
    d, v = rng.standard_normal((40, 30)), rng.standard_normal((30, 5))
    v /= np.linalg.norm(v, axis=0)
    left, want = d.copy(), []
    for k in range(5):
        fit = np.linalg.lstsq(v[:, k:], left.T, rcond=None)[0]
        codes, scale = quantise(fit[0], 2)
        want.append(midrise(2)[codes])
        left -= scale * np.outer(want[-1], v[:, k])
    gram = torch.from_numpy(v.T @ v)
    target = torch.linalg.solve(gram, torch.from_numpy((d @ v).T)).numpy()
    assert np.array_equal(carried(target, shares(gram), [2] * 5), np.array(want).T)


@pytest.mark.parametrize("bits", [1, 2])
def test_against_every_code_there_is(bits):
    """On rows of 6 inputs, among all codes at the scale that it uses: the optimum itself on most, within a tenth of it
    on average, where rounding loses a sixth more."""
    ratios, plain = [], []
    for seed in range(12):
        gram, x = falling(6, seed), np.random.default_rng(seed).standard_normal((1, 6))
        inputs = ordered(gram)
        scale = found(x, bits, inputs)[0]
        every = np.array(list(itertools.product(midrise(bits), repeat=6))) * scale
        best = min(quadratic(x - e, inputs.gram.numpy()) for e in every)
        got = scale * carried(x, identity(1), [bits], inputs).T
        rounded = scale * nearest(x, np.array(scale), bits)
        ratios.append(quadratic(x - got, inputs.gram.numpy()) / best)
        plain.append(quadratic(x - rounded, inputs.gram.numpy()) / best)
    assert min(ratios) >= 1 - 1e-9
    assert np.median(ratios) == pytest.approx(1)
    assert np.mean(ratios) < 1.1
    assert np.mean(ratios) < 0.95 * np.mean(plain)


def test_with_inputs_apart_from_each_other_rounding_is_the_optimum():
    gram, x = np.diag(np.geomspace(9, 0.1, 8)), np.random.default_rng(4).standard_normal((5, 8))
    inputs = ordered(gram)
    got = carried(x, identity(5), [2] * 5, inputs).T
    scale = np.array(found(x, 2, inputs))[:, None]
    assert np.array_equal(got, nearest(x, scale, 2))
    even = carried(x, identity(5), [2] * 5, ordered(np.eye(8))).T
    assert np.array_equal(even, [midrise(2)[quantise(row, 2)[0]] for row in x])


def test_gptq_beats_rounding_and_the_order_of_the_inputs_is_their_weight():
    gram, x = moments(96, seed=5), np.random.default_rng(5).standard_normal((20, 96))
    inputs = Inputs.of(Hessian(gram))
    weight = inputs.gram.numpy()
    coded, plain = (carried(x, identity(20), [2] * 20, side).T.astype(np.float64) for side in (inputs, None))
    assert quadratic(x - scaled(x, coded, weight), weight) < 0.6 * quadratic(x - scaled(x, plain, weight), weight)
    assert (np.diff(np.diag(gram)[inputs.order]) <= 0).all()


@pytest.mark.parametrize("known", [False, True])
def test_tiles_change_nothing(monkeypatch, known):
    rng = np.random.default_rng(6)
    x, rank = rng.standard_normal((40, 96)), torch.from_numpy(np.cov(rng.standard_normal((40, 90))))
    inputs = Inputs.of(Hessian(moments(96)), 0.1) if known else None
    whole = carried(x, shares(rank), [2] * 40, inputs)
    monkeypatch.setattr("deltakit.compress.fit.carry._COLUMNS", 7)
    if not known:  # with inputs, a block of ranks finds its scales before anything is carried within it
        monkeypatch.setattr("deltakit.compress.fit.carry._RANKS", 7)
    assert (carried(x, shares(rank), [2] * 40, inputs) == whole).mean() > 0.999


def test_the_callers_numbers_are_left_alone():
    x = np.random.default_rng(7).standard_normal((3, 9))
    before = x.copy()
    carried(x, identity(3), [2] * 3)
    carried(x, identity(3), [2] * 3, Inputs.of(Hessian(moments(9))))
    assert np.array_equal(x, before)


def test_float_columns_are_unit_vectors_rounded():
    made = carried(np.array([[3.0, 4.0]]), identity(1), ["BF16"])
    assert made.ravel().tolist() == [0.6015625, 0.80078125]
