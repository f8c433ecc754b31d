"""Rough right singular vectors by block iteration. Run: pytest tests/delta/measure/test_iterate.py"""

from __future__ import annotations

import pytest
import torch

from deltakit.delta.measure import iterate
from deltakit.delta.measure.decompose import left_vectors
from deltakit.delta.measure.iterate import right_vectors

N = 300


def matrix(rows=N, columns=N, spectrum=None, seed=0):
    g = torch.Generator().manual_seed(seed)
    d = torch.randn(rows, columns, generator=g)
    if spectrum is None:
        return d
    u, _, v = torch.linalg.svd(d.double(), full_matrices=False)
    return ((u * spectrum) @ v).float()


def left_out(d, v):
    wide, span = d.double(), torch.linalg.qr(v.double())[0]
    return float((wide**2).sum() - ((wide @ span) ** 2).sum())


@pytest.fixture
def exact(monkeypatch):
    """Counts the calls of the way back."""
    calls = []
    monkeypatch.setattr(iterate, "left_vectors", lambda *a: calls.append(1) or left_vectors(*a))
    return calls


@pytest.mark.parametrize("shape", [(N, N), (700, N), (N, 700)])
@pytest.mark.parametrize("falling", [False, True])
def test_the_energy_left_out_is_near_to_the_least(exact, shape, falling):
    d = matrix(*shape, spectrum=torch.arange(1, N + 1, dtype=torch.float64) ** -0.5 if falling else None)
    seen = []
    v, s = right_vectors(d, 150, lambda values: seen.append(len(values)) or 90)
    singular = torch.linalg.svdvals(d.double())
    assert not exact
    assert seen == [int(0.85 * 150)]
    assert v.shape == (shape[1], 90)
    assert left_out(d, v) < 1.03 * float((singular[90:] ** 2).sum())
    assert torch.allclose(s.double(), singular[:90], rtol=0.06)
    assert (s.diff() <= 0).all()


@pytest.mark.parametrize(
    ("d", "rank", "kept"),
    [
        (matrix(64, 64), 20, 10),  # small
        (matrix(), 290, 200),  # most directions
        (matrix(), 150, 125),  # more than looked for
        (matrix(spectrum=10.0 ** -(torch.arange(N, dtype=torch.float64) / 20)), 150, 90),  # too wide
        (matrix(spectrum=(torch.arange(N) < 8).double()), 150, 90),  # of rank 8
    ],
)
def test_where_it_would_not_do_it_is_the_exact_way(exact, d, rank, kept):
    v, s = right_vectors(d, rank, lambda values: min(kept, len(values)))
    want, values = left_vectors(d.T, rank, lambda values: min(kept, len(values)))
    assert exact
    assert torch.equal(v, want)
    assert torch.equal(s, values)


def test_nothing_and_zeros():
    for d in (torch.zeros(0, 5), torch.zeros(N, N)):
        v, s = right_vectors(d, 40, lambda values: int((values > 0).sum()))
        assert v.shape == (d.shape[1], 0)
        assert len(s) == 0


def test_an_outlier_does_no_harm():
    """A direction of 1e4 times the energy: within float32, or found out to be beyond it."""
    spectrum = torch.ones(N, dtype=torch.float64)
    spectrum[0] = 100.0
    d = matrix(spectrum=spectrum)
    v, _ = right_vectors(d, 100, lambda _: 60)
    assert left_out(d, v) < 1.01 * (N - 60)


def test_bytes_are_the_same_on_every_run():
    d = matrix(seed=5)
    first, again = (right_vectors(d.clone(), 100, lambda _: 60)[0] for _ in range(2))
    assert torch.equal(first, again)
