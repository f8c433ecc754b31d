"""The Gram-matrix SVD against the full one. Run: pytest tests/delta/test_decompose.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.delta.measure import decompose
from deltakit.delta.measure.decompose import batched, left_vectors, polar, product, svd, triplets


def matrix(rows, columns, spectrum, seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    k = min(rows, columns)
    u, v = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in (rows, columns))
    return (size * (u * np.resize(spectrum, k)) @ v.T).astype(np.float32)


SPECTRA = {
    "flat": np.ones(200),
    "power": np.arange(1, 201.0) ** -1.0,
    "steep": 10.0 ** -(np.arange(200) / 40),
    "pairs": np.repeat(np.arange(100, 0.0, -1), 2),
}


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("shape", [(90, 60), (60, 90), (64, 64), (200, 9)])
def test_agrees_with_the_full_svd(shape, spectrum):
    delta = matrix(*shape, SPECTRA[spectrum])
    _, want, _ = torch.linalg.svd(torch.from_numpy(delta).double(), full_matrices=False)
    for rank in (1, 5, min(shape)):
        u, s, v = svd(delta, rank)
        assert u.shape == (shape[0], rank)
        assert v.shape == (shape[1], rank)
        assert np.allclose(s, want[:rank], rtol=1e-5, atol=1e-6 * float(want[0]))
        for side in (u, v):
            assert np.allclose(side.T @ side, np.eye(rank), atol=2e-5)
        error = ((delta - (u.astype(np.float64) * s) @ v.T) ** 2).sum()
        best = float((want[rank:] ** 2).sum())
        assert error == pytest.approx(best, rel=1e-4, abs=1e-8 * float((want**2).sum()))


@pytest.mark.parametrize("shape", [(80, 50), (50, 80)])
def test_finds_the_true_rank_of_a_lora(shape):
    rng = np.random.default_rng(3)
    b, a = rng.standard_normal((shape[0], 4)).astype(np.float32), rng.standard_normal((4, shape[1])).astype(np.float32)
    u, s, v = svd(b @ a, 50)
    assert len(s) == 4
    assert np.allclose((u * s) @ v.T, b @ a, atol=1e-4)


@pytest.mark.parametrize("size", [1e-30, 1e-6, 1.0, 1e30])
def test_the_size_of_the_numbers_does_not_matter(size):
    delta = matrix(40, 30, SPECTRA["power"])
    u, s, v = svd(delta, 8)
    u2, s2, v2 = svd((delta * np.float32(size)).astype(np.float32), 8)
    assert np.allclose(s2 / size, s, rtol=1e-5)
    assert np.allclose(u2, u, atol=1e-4)
    assert np.allclose(v2, v, atol=1e-4)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (4, 4)])
def test_nothing_has_rank_zero(shape):
    u, s, v = svd(np.zeros(shape, np.float32), 3)
    assert (u.shape, s.shape, v.shape) == ((shape[0], 0), (0,), (shape[1], 0))
    assert svd(np.ones((3, 3), np.float32), 0)[1].shape == (0,)


def test_one_number():
    u, s, v = svd(np.array([[-2.0]], np.float32), 9)
    assert (u.item(), s.item(), v.item()) == (-1.0, 2.0, 1.0)


@pytest.mark.parametrize("shape", [(50, 30), (30, 50)])
def test_signs_do_not_depend_on_chance(shape):
    u, _, v = svd(matrix(*shape, SPECTRA["power"]), 10)
    side = v if shape[0] >= shape[1] else u
    assert (side[np.abs(side).argmax(axis=0), np.arange(10)] > 0).all()


@pytest.mark.parametrize("double", [False, True])
def test_bytes_do_not_depend_on_threads(double):
    delta = matrix(300, 200, SPECTRA["power"])
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append([f.tobytes() for f in svd(delta, 50, double)])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


@pytest.mark.parametrize("shape", [(300, 160), (160, 300), (256, 256)])
@pytest.mark.parametrize("spectrum", ["flat", "power", "pairs"])
def test_float32_truncates_as_well_as_anything(shape, spectrum):
    delta = matrix(*shape, SPECTRA[spectrum])
    for rank in (3, min(shape) // 8, min(shape) // 3):
        u, s, v = svd(delta, rank, double=False)
        best = float((torch.linalg.svdvals(torch.from_numpy(delta).double())[rank:] ** 2).sum())
        error = float(((delta - (u.astype(np.float64) * s) @ v.T) ** 2).sum())
        assert error <= best * (1 + 1e-6)
        assert np.all(s[:-1] >= s[1:])
        for side in (u, v):
            assert np.allclose(side.T @ side, np.eye(rank), atol=1e-5)


def test_float32_finds_the_rank_of_a_lora_too():
    rng = np.random.default_rng(3)
    delta = (rng.standard_normal((300, 4)) @ rng.standard_normal((4, 200))).astype(np.float32)
    u, s, v = svd(delta, 50, double=False)
    assert len(s) == 4
    assert np.allclose((u * s) @ v.T, delta, atol=1e-4)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("shape", [(200, 150), (150, 200), (0, 4)])
def test_a_batch_is_its_matrices(shape, double):
    deltas = [torch.from_numpy(matrix(*shape, SPECTRA["power"], seed)) for seed in range(3)]
    for one, found in zip(deltas, batched(deltas, 40, double), strict=True):
        for a, b in zip(found, triplets(one, 40, double), strict=True):
            assert torch.equal(a, b)
    assert batched([], 3) == []


def test_many_blocks_of_rows(monkeypatch):
    delta = matrix(90, 20, SPECTRA["power"])
    whole = svd(delta, 20)
    monkeypatch.setattr("deltakit.delta.measure.decompose._BLOCK", 7 * 20)
    for a, b in zip(whole, svd(delta, 20), strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_polar_is_the_nearest_orthonormal_matrix():
    columns = torch.from_numpy(matrix(50, 20, np.linspace(3, 0.5, 20))).double()
    p, _, qt = torch.linalg.svd(columns, full_matrices=False)
    assert torch.allclose(polar(columns), p @ qt, atol=1e-12)


def test_columns_that_depend_on_each_other_share_a_direction():
    one = torch.linalg.qr(torch.randn(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    assert torch.allclose(polar(torch.cat([one, one], dim=1)), torch.cat([one, one], dim=1) / 2**0.5, atol=1e-7)
    assert polar(torch.zeros((5, 0), dtype=torch.float64)).shape == (5, 0)
    assert not polar(torch.zeros((5, 2), dtype=torch.float64)).any()


@pytest.mark.parametrize("rank", [2, 5, 9])
def test_a_product_is_decomposed_from_its_factors(rank):
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(n, 5, generator=generator) for n in (40, 30))
    u, s, v = product(left, right, rank)
    best_u, best_s, best_v = torch.linalg.svd(left.double() @ right.T.double(), full_matrices=False)
    kept = min(rank, 5)
    assert u.shape == (40, kept)
    want = best_u[:, :kept] * best_s[:kept] @ best_v[:kept]
    assert torch.allclose(u * s @ v.T, want, atol=1e-9 * float(best_s[0]))


@pytest.mark.parametrize("spectrum", ["flat", "power", "steep"])
@pytest.mark.parametrize("shape", [(300, 160), (160, 300), (40, 30), (30, 40)])
def test_left_vectors_are_those_of_the_svd(shape, spectrum):
    delta = torch.from_numpy(matrix(*shape, SPECTRA[spectrum]))
    seen = []
    u, s = left_vectors(delta, 24, lambda values: seen.append(values) or 9)
    assert (u.shape, s.shape, seen[0].shape) == ((shape[0], 9), (9,), (24,))
    want = torch.linalg.svdvals(delta.double())
    assert np.allclose(seen[0], want[:24], rtol=1e-3)
    assert torch.allclose(u.T @ u, torch.eye(9, dtype=u.dtype), atol=2e-3)
    rest = delta.double() - u.double() @ torch.linalg.lstsq(u.double(), delta.double())[0]
    assert float((rest**2).sum()) == pytest.approx(float((want[9:] ** 2).sum()), rel=1e-5)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300)])
def test_left_vectors_stop_at_the_rank(shape):
    rng = np.random.default_rng(3)
    delta = (rng.standard_normal((shape[0], 4)) @ rng.standard_normal((4, shape[1]))).astype(np.float32)
    assert left_vectors(torch.from_numpy(delta), 50, len)[1].shape == (4,)
    assert left_vectors(torch.zeros(shape), 50, len)[0].shape == (shape[0], 0)
    assert left_vectors(torch.zeros((0, 3)), 50, len)[0].shape == (0, 0)


def test_a_wide_matrix_is_never_turned_as_a_whole(monkeypatch):
    """Blocks are turned one by one, and the largest magnitude takes no copy: the numbers are those of a whole turn."""
    wide = torch.from_numpy(np.random.default_rng(5).standard_normal((40, 90)).astype(np.float32))
    want = decompose.left_vectors(wide.T.contiguous().T.contiguous(), 12, len)
    monkeypatch.setattr(decompose, "_BLOCK", 640)
    found = decompose.left_vectors(wide, 12, len)
    assert torch.allclose(found[1], want[1], rtol=1e-5)
    u, s, v = decompose.triplets(wide, 12)
    other = decompose.triplets(wide.T.contiguous(), 12)
    assert torch.equal(s, other[1])
    assert torch.equal(u, other[2])
    assert torch.equal(v, other[0])
    assert decompose._peak(-wide) == float(wide.abs().max())
    assert decompose._peak(torch.zeros(3, 2)) == 1.0


@pytest.mark.parametrize("shape", [(40, 24), (24, 40), (30, 30)])
def test_left_vectors_in_float64_are_those_of_the_svd(shape):
    d = torch.from_numpy(np.random.default_rng(11).standard_normal(shape))
    u, s = left_vectors(d, 12, lambda values: 5, double=True)
    want, values, _ = torch.linalg.svd(d, full_matrices=False)
    assert u.dtype == torch.float64
    assert torch.allclose(s, values[:5], rtol=1e-9)
    assert torch.allclose((u.T @ want[:, :5]).abs(), torch.eye(5, dtype=torch.float64), atol=1e-8)
