"""Terms in memory give the numbers of the stored ones. Run: pytest tests/tenants/test_terms.py"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from deltakit.delta.terms.base import Term
from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.sign import Sign
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import MismatchError
from deltakit.tenants import terms as module
from deltakit.tenants.terms import Differences, Factors, PackedFactors, PackedTerm, Signs, resident
from deltakit.tensors import TensorSpec

ROWS, COLUMNS = 14, 9
SPEC = TensorSpec((ROWS, COLUMNS), "F32")


def values(seed: int = 0, rows: int = ROWS) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((rows, COLUMNS)).astype(np.float32)


def terms() -> dict[str, Term]:
    rng, dense = np.random.default_rng(1), values()
    u, v = (rng.standard_normal((n, 3)).astype(np.float32) for n in (ROWS, COLUMNS))
    scales = {"scalar": (1, 1), "row": (ROWS, 1), "column": (1, COLUMNS)}
    signs = {
        axis: Sign.of(SPEC, dense > 0, np.abs(rng.standard_normal(shape)).astype(np.float32), axis)
        for axis, shape in scales.items()
    }
    return {
        "lowrank": LowRank.of(SPEC, u, v, "F32"),
        "dense": Dense.of(lambda lo, hi: dense[lo:hi], SPEC),
        "sparse": Sparse.nonzero(lambda lo, hi: dense[lo:hi] * (dense[lo:hi] > 1), SPEC),
        **signs,
    }


@pytest.mark.parametrize("hold", ["fast", "factors", "packed"])
@pytest.mark.parametrize("name", sorted(terms()))
def test_every_kind_computes_what_the_stored_term_says(name: str, hold: str) -> None:
    term = terms()[name]
    held, want = resident(term, hold, torch.float32, "cpu"), torch.from_numpy(term.rows(0, ROWS))
    x, y = torch.from_numpy(values(3, 5)), torch.from_numpy(values(4, COLUMNS)).T[:, :ROWS]
    y = torch.randn(2, 3, ROWS, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(held.dense(), want, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(held.times(x), x @ want.T, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(held.times(y, flipped=True), y @ want, rtol=1e-5, atol=1e-5)
    ids = torch.tensor([3, 0, 3, 13])
    torch.testing.assert_close(held.gather(ids), want[ids], rtol=1e-5, atol=1e-6)
    assert held.shape == (ROWS, COLUMNS)


def test_how_a_term_is_held_follows_its_kind_and_the_wish() -> None:
    made = terms()
    kinds = {
        (name, hold): type(resident(made[name], hold, torch.float32, "cpu"))
        for name in ("lowrank", "row", "dense")
        for hold in ("fast", "factors", "packed")
    }
    assert kinds["lowrank", "fast"] is kinds["lowrank", "factors"] is Factors
    assert kinds["lowrank", "packed"] is PackedFactors
    assert kinds["row", "fast"] is kinds["dense", "fast"] is Differences
    assert kinds["row", "factors"] is kinds["row", "packed"] is Signs
    assert kinds["dense", "packed"] is PackedTerm


@pytest.mark.parametrize("axis", ["scalar", "row", "column"])
@pytest.mark.parametrize("tokens", [1, 5])
def test_packed_signs_are_looked_up_where_the_matrix_is_large(
    axis: str, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGE", 1)
    rng = np.random.default_rng(2)
    scales = np.abs(rng.standard_normal({"scalar": (1, 1), "row": (6, 1), "column": (1, 24)}[axis])).astype(np.float32)
    term = Sign.of(TensorSpec((6, 24), "F32"), rng.random((6, 24)) < 0.5, scales, axis)
    held = resident(term, "fast", torch.float32, "cpu")
    assert type(held) is Signs
    x = torch.from_numpy(rng.standard_normal((tokens, 2, 24)).astype(np.float32))
    torch.testing.assert_close(held.times(x), x @ held.dense().T, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(module, "_FEW", 0)
    torch.testing.assert_close(held.times(x), x @ held.dense().T, rtol=1e-6, atol=1e-6)


def test_factors_larger_than_their_matrix_are_multiplied_out() -> None:
    wide = LowRank.of(SPEC, values()[:, :7], np.zeros((COLUMNS, 7), np.float32), "F16")
    assert type(resident(wide, "fast", torch.float32, "cpu")) is Differences
    assert type(resident(wide, "factors", torch.float32, "cpu")) is Factors


def test_packed_terms_take_the_bytes_of_the_file() -> None:
    for term in terms().values():
        assert resident(term, "packed", torch.float32, "cpu").nbytes == term.nbytes


def test_only_changed_rows_are_held() -> None:
    sparse = np.zeros((100, COLUMNS), np.float32)
    sparse[[3, 70]] = values()[:2]
    held = Differences(sparse, (100, COLUMNS), torch.float32, "cpu")
    assert held.nbytes < sparse.nbytes
    want, x = torch.from_numpy(sparse), torch.from_numpy(values(5, 4))
    ids = torch.tensor([70, 1, 3])
    assert torch.equal(held.dense(), want)
    assert torch.equal(held.gather(ids), want[ids])
    torch.testing.assert_close(held.times(x), x @ want.T)
    torch.testing.assert_close(held.times(want[:, :1].T, flipped=True), want[:, :1].T @ want)


@pytest.mark.parametrize("name", ["lowrank", "row", "column", "scalar"])
def test_scales_are_trained_and_written_back(name: str) -> None:
    term = terms()[name]
    held = resident(term, "factors", torch.float32, "cpu")
    assert held.scales is not None
    held.scales.requires_grad_(True)
    held.times(torch.from_numpy(values(3, 5))).square().sum().backward()
    assert bool((held.scales.grad != 0).all())
    with torch.no_grad():
        held.scales.mul_(2)
    np.testing.assert_allclose(held.stored().rows(0, ROWS), 2 * term.rows(0, ROWS), rtol=1e-2, atol=1e-5)


def test_a_term_without_scales_says_so() -> None:
    held = resident(terms()["dense"], "packed", torch.float32, "cpu")
    assert held.scales is None
    with pytest.raises(MismatchError, match="no scales"):
        held.stored()
