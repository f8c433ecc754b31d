"""Leading eigenvectors in float32 where it is safe, else in float64. Run: pytest tests/delta/measure/test_eigen.py"""

from __future__ import annotations

import pytest
import torch

from deltakit.delta.measure import eigen

N = 256


def matrix(spectrum, n=N, seed=0):
    """Symmetric, with these eigenvalues, float32."""
    q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    return ((q * spectrum) @ q.T).float()


def leading(grams, rank, double=True):
    return eigen.leading([g.to for g in grams], len(grams[0]) if grams else 0, rank, double)


def powers(exponent, n=N):
    return torch.arange(1, n + 1, dtype=torch.float64) ** -exponent


def outlier(size):
    spectrum = torch.linspace(1.0, 0.1, N, dtype=torch.float64)
    spectrum[0] = size
    return spectrum


SPECTRA = {
    "flat": torch.ones(N, dtype=torch.float64), "line": torch.linspace(1.0, 0.0, N, dtype=torch.float64),
    "power": powers(1.6), "steep": powers(4.0), "outlier": outlier(1e5), "outliers": outlier(1e3).flip(0),
    "low rank": (torch.arange(N) < 9).double(), "nothing": torch.zeros(N, dtype=torch.float64),
}  # fmt: skip


def left_out(gram, basis):
    """The energy outside of the span, and the least possible."""
    wide, span = gram.double(), torch.linalg.qr(basis.double())[0]
    best = torch.linalg.eigvalsh(wide)[: len(wide) - basis.shape[1]].sum()
    return float(wide.trace() - torch.trace(span.T @ wide @ span)), float(best)


@pytest.mark.parametrize("rank", [1, 8, 32, 100])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_what_is_left_out_is_the_least_possible(spectrum, rank):
    gram = matrix(SPECTRA[spectrum])
    ((values, basis),) = leading([gram], rank, double=False)
    assert basis.shape == (N, rank)
    assert torch.allclose(basis.T @ basis, torch.eye(rank, dtype=basis.dtype), atol=1e-5)
    found, best = left_out(gram, basis)
    assert found <= best * (1 + 1e-6) + 1e-7 * float(gram.trace())
    want = torch.linalg.eigvalsh(gram.double()).flip(0)[:rank]
    assert torch.allclose(values.double(), want, rtol=1e-4, atol=1e-6 * float(want[0]))


def test_a_direction_far_above_the_others_is_taken_out_before_float32():
    gram = matrix(outlier(1e5))
    assert eigen._top(gram.double())[1].shape[1] == 1
    ((values, basis),) = leading([gram], 64, double=False)
    assert basis.dtype == torch.float32
    found, best = left_out(gram, basis)
    assert found <= best * (1 + 1e-6)


def test_a_spectrum_too_wide_for_float32_takes_float64():
    gram = matrix(10.0 ** -(torch.arange(N, dtype=torch.float64) / 12))
    assert leading([gram], 100, double=False)[0][1].dtype == torch.float64
    assert leading([gram], 2, double=False)[0][1].dtype == torch.float32


@pytest.mark.parametrize(("size", "rank", "double"), [(N, 40, True), (N, 220, False), (64, 4, False)])
def test_float64_where_it_is_asked_for_or_most_is_kept_or_it_costs_nothing(size, rank, double):
    gram = matrix(powers(0.5, size), size)
    ((values, basis),) = leading([gram], rank, double)
    assert basis.dtype == torch.float64
    wide, vectors = torch.linalg.eigh(gram.double())
    assert torch.equal(values, wide[size - rank :].flip(0).clamp_min(0))
    assert torch.equal(basis, vectors[:, size - rank :].flip(1))


@pytest.mark.parametrize("double", [False, True])
def test_a_batch_is_its_matrices(double):
    grams = [matrix(SPECTRA[s], seed=i) for i, s in enumerate(("line", "steep", "outlier", "flat"))]
    for one, found in zip(grams, leading(grams, 40, double), strict=True):
        for a, b in zip(found, leading([one], 40, double)[0], strict=True):
            assert torch.equal(a, b)


def test_nothing_asked():
    assert leading([], 3) == []
    assert leading([matrix(powers(1.0))], 999)[0][1].shape == (N, N)
