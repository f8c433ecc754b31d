"""The SVD in the outputs' norm. Run: pytest tests/compress/fit/test_whiten.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.compress.fit.whiten import Inputs, start, whitened_svd
from deltakit.compress.hessian import Hessian
from deltakit.errors import InputError, MismatchError
from support.inputs import activations, moments


def delta(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def truncated(d, inputs, rank):
    u, s, v = whitened_svd(torch.from_numpy(d), inputs, rank)
    return ((u * s) @ v.T).numpy()


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (24, 24)])
@pytest.mark.parametrize("rank", [1, 5, 19])
def test_it_is_the_best_matrix_of_its_rank_for_the_outputs(shape, rank):
    """Against the truncated SVD of the outputs themselves (Eckart-Young: nothing of that rank is nearer)."""
    d, x = delta(*shape), activations(shape[1], 200)
    inputs = Inputs.of(Hessian(x.T @ x, 1, 200), 1e-12)
    error = np.linalg.norm(x @ (d - truncated(d, inputs, rank)).T) ** 2
    best = float((np.linalg.svd(x @ d.T.astype(np.float64), compute_uv=False)[rank:] ** 2).sum())
    plain = np.linalg.norm(x @ (d - truncated(d, None, rank)).T) ** 2
    assert error == pytest.approx(best, rel=1e-5)
    assert plain > 1.02 * best


@pytest.mark.parametrize("outlier", [1e2, 1e3, 1e4])
def test_outliers_of_the_inputs_take_no_digits(outlier):
    """Energies up to 1e8 times those of the others: float64 stays at the optimum where float32 was at 5.3 times it."""
    d, x = delta(64, 64), activations(64, 500, outlier=outlier)
    inputs = Inputs.of(Hessian(x.T @ x, 1, 500), 1e-14)
    error = np.linalg.norm(x @ (d - truncated(d, inputs, 12)).T) ** 2
    best = float((np.linalg.svd(x @ d.T.astype(np.float64), compute_uv=False)[12:] ** 2).sum())
    assert error == pytest.approx(best, rel=1e-4)


def test_fewer_samples_than_inputs_and_dead_inputs():
    x = activations(40, 11)
    x[:, 7] = 0
    inputs = Inputs.of(Hessian(x.T @ x, 1, 11), 0.01)
    assert np.isfinite(inputs.shares).all()
    d = delta(30, 40)
    outputs = x @ d.T
    error = np.linalg.norm(x @ (d - truncated(d, inputs, 11)).T) ** 2
    assert error < 0.01 * np.linalg.norm(outputs) ** 2


def test_no_inputs_at_all_count_alike():
    d = delta(12, 9)
    nothing = Inputs.of(Hessian(np.zeros((9, 9))))
    assert np.allclose(truncated(d, nothing, 4), truncated(d, None, 4), atol=1e-6)


def test_the_pieces_fit_together():
    gram = moments(16)
    inputs = Inputs.of(Hessian(gram), 0.01)
    assert (np.diff(np.diag(gram)[inputs.order]) <= 0).all()
    assert np.allclose(inputs.root @ inputs.root.T, inputs.gram.numpy()[np.ix_(inputs.order, inputs.order)])
    assert np.allclose(np.diag(inputs.gram.numpy()), 1.01 * np.diag(gram), rtol=1e-3)
    d = delta(5, 16)
    want = float(((d @ inputs.gram.numpy()) * d).sum())
    assert float((inputs.whiten(torch.from_numpy(d)) ** 2).sum()) == pytest.approx(want)


def test_moments_of_another_matrix_are_refused():
    inputs = Inputs.of(Hessian(moments(16)))
    for use in (inputs.whiten, inputs.weigh):
        with pytest.raises(MismatchError, match="16 inputs for a matrix .* of 12"):
            use(torch.zeros(5, 12))


@pytest.mark.parametrize(("rows", "damp"), [(0, 0.03), (4, 3.0), (32, 0.5), (10**6, 0.03)])
def test_few_samples_are_damped_more(rows, damp):
    gram = moments(16)
    got = np.diag(Inputs.of(Hessian(gram, 1, rows)).gram.numpy())
    assert np.allclose(got, (1 + damp) * np.diag(gram), rtol=0.01)


def test_damping_helps_on_inputs_that_were_not_seen():
    d, x = delta(48, 48), activations(48, 2000)
    seen, other = x[:30], x[1000:]
    errors = []
    for damp in (1e-6, 0.0):
        made = truncated(d, Inputs.of(Hessian(seen.T @ seen, 1, 30), damp), 12)
        errors.append(np.linalg.norm(other @ (d - made).T))
    assert errors[1] < 0.97 * errors[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    gram = np.eye(4)
    gram[1, 2] = bad
    with pytest.raises(InputError, match="not finite"):
        Inputs.of(Hessian(gram))


@pytest.mark.parametrize("known", [False, True])
def test_a_start_is_the_svd_as_far_as_it_is_wanted(known):
    d = torch.from_numpy(np.random.default_rng(3).standard_normal((40, 24)).astype(np.float32))
    inputs = Inputs.of(Hessian(moments(24))) if known else None
    seen = []
    free, s = start(d, inputs, 12, lambda values: seen.append(len(values)) or 5)
    _, scales, want = whitened_svd(d, inputs, 12)  # deltaᵀ U diag(1/s)
    assert (free.shape, seen) == ((24, 5), [12])
    assert torch.allclose(s.double(), scales[:5], rtol=1e-4)
    free, want = (f.double() / torch.linalg.vector_norm(f.double(), dim=0) for f in (free, want[:, :5]))
    assert torch.allclose((free * want).sum(dim=0).abs(), torch.ones(5, dtype=torch.float64), atol=2e-3)
