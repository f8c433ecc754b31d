"""Spectra, zeros and energy of matrices, from rows and from factors."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.measure.profile import profiles
from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.lowrank import LowRank
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec
from support.memory import peak_below
from support.tensors import memory, normal, tensor


def dense(values):
    spec = TensorSpec(values.shape, "F32")
    flat = values.reshape(spec.rows, spec.row_size)
    return Dense.of(lambda lo, hi: flat[lo:hi], spec)


def delta(**terms):
    """Tensors of (coef, term) pairs, or of one term."""
    parts = {n: t if isinstance(t, list) else [(1.0, t)] for n, t in terms.items()}
    return Delta({n: Entry(p[0][1].spec, p[0][1].spec.rows, tuple(Part(*x) for x in p)) for n, p in parts.items()})


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (4, 6, 5), (1, 9), (9, 1)])
def test_the_values_are_those_of_a_full_decomposition(shape):
    values = normal(shape, 1)
    (found,) = profiles(delta(w=dense(values)), 9)
    want = np.linalg.svd(values.reshape(-1, shape[-1]).astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(found.spectrum.values, want, rtol=1e-6)
    assert found.zeros == 0.0
    assert found.as_dict()["norm"] == pytest.approx(np.linalg.norm(values), rel=1e-6)


def test_zeros_and_energy():
    values = normal((64, 32), 2)
    values[:16] = 0
    made = profiles(delta(w=dense(values)), 1)[0].as_dict()
    squares = np.linalg.svd(values.astype(np.float64), compute_uv=False) ** 2
    assert made["zero_share"] == 0.25
    assert list(made["energy_at_rank"]) == ["1", "4", "16"]
    assert made["energy_at_rank"]["4"] == pytest.approx(squares[:4].sum() / squares.sum())
    assert made["rank_at_90"] == 1 + int(np.searchsorted(np.cumsum(squares), 0.9 * squares.sum()))


def test_zeros_have_no_energy():
    found = profiles(delta(w=dense(np.zeros((5, 4), np.float32))), 1)[0].as_dict()
    assert (found["effective_rank"], found["energy_at_rank"], found["zero_share"]) == (0.0, {}, 1.0)


def test_factors_are_not_multiplied_out():
    spec = TensorSpec((3000, 2000), "BF16")
    one = LowRank.of(spec, normal((3000, 3), 1), normal((2000, 3), 2), "F32")
    two = LowRank.of(spec, normal((3000, 2), 3), normal((2000, 2), 4), "F32")
    with peak_below(2 << 20):
        (found,) = profiles(delta(w=[(0.5, one), (-2.0, two)]), 1)
    small = np.linalg.qr(np.concatenate([normal((3000, 3), 1) * 0.5, normal((3000, 2), 3) * -2], 1).astype(float))[1]
    right = np.linalg.qr(np.concatenate([normal((2000, 3), 2), normal((2000, 2), 4)], 1).astype(float))[1]
    np.testing.assert_allclose(found.spectrum.values[:5], np.linalg.svd(small @ right.T)[1], rtol=1e-5)
    assert not found.spectrum.values[5:].any()
    assert len(found.spectrum.values) == 2000
    assert (found.zeros, found.as_dict()["from_factors"]) == (None, True)


def test_factors_beside_another_term_are_added_up():
    spec = TensorSpec((12, 10), "F32")
    factored, values = LowRank.of(spec, normal((12, 2), 1), normal((10, 2), 2), "F32"), normal((12, 10), 3)
    (found,) = profiles(delta(w=[(1.0, factored), (2.0, dense(values))]), 1)
    whole = factored.rows(0, 12) + 2 * values
    np.testing.assert_allclose(found.spectrum.values, np.linalg.svd(whole, compute_uv=False), rtol=1e-5)
    assert found.zeros is not None


def test_the_largest_come_first_and_a_pattern_chooses():
    made = delta(
        b=dense(normal((4, 4), 1)), a=dense(normal((4, 4), 2)), c=dense(normal((9, 4), 3)), n=dense(normal((9,), 4))
    )
    assert [p.spectrum.name for p in profiles(made, 9)] == ["c", "a", "b"]
    assert [p.spectrum.name for p in profiles(made, 1, "[ab]")] == ["a"]
    with pytest.raises(RecipeError, match="no changed matrix has a name like 'x'"):
        profiles(made, 1, "x")


def test_differences_of_bits_need_their_base():
    base, tuned = (memory({"w": tensor(normal((6, 5), s))}) for s in (1, 2))
    made = delta(w=Exact.of(base, tuned, "w", tuned.specs["w"]))
    assert profiles(made, 1)[0].zeros == 0.0
    stored = delta(w=Exact.load({}, made.entries["w"].parts[0].term.payload, tuned.specs["w"]))
    with pytest.raises(RecipeError, match="--base"):
        profiles(stored, 1)
    assert len(profiles(stored.bind(base), 1)) == 1
