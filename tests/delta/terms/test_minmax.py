"""Delta-CoMe's factors as a term. Run: pytest tests/delta/terms/test_minmax.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.coding.minmax import MinMax
from deltakit.delta.terms.minmax import MinMaxLowRank, minmax_bytes
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec

BANDS = ((8, 2), (2, 5))


def side(height, width, bits, group, rng):
    groups = -(-width // group)
    codes = rng.integers(0, 1 << bits, (height, width), np.uint8)
    zeros = rng.integers(0, 1 << bits, (height, groups), np.uint8)
    return MinMax.of(codes, zeros, rng.random((height, groups)) + 0.5, group, bits)


def make(shape=(200, 30), turned=False, group=8):
    rng, spec = np.random.default_rng(0), TensorSpec(shape, "BF16")
    rows, columns = shape[::-1] if turned else shape
    pairs = [(side(rank, columns, bits, group, rng), side(rows, rank, bits, group, rng)) for bits, rank in BANDS]
    return MinMaxLowRank.of(spec, pairs, rng.random(7).astype(np.float32), group, turned)


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_stored_is_what_it_stands_for(turned):
    term = make(turned=turned)
    left = np.concatenate([u.values() for _, u in term.pairs], axis=1)
    right = np.concatenate([v.values() for v, _ in term.pairs])
    want = (left * term.s) @ right
    want = want.T if turned else want
    fields, payload = term.save()
    assert len(payload) == term.nbytes == minmax_bytes((30, 200) if turned else (200, 30), BANDS, 8)
    again = MinMaxLowRank.load(fields, memoryview(payload), term.spec)
    for made in (term, again):
        assert np.allclose(made.rows(0, 200), want, rtol=1e-5, atol=1e-3)
        assert np.array_equal(made.rows(131, 190), made.rows(0, 200)[131:190])
        assert np.allclose(made.matmul(np.eye(30, dtype=np.float32)), want.T, rtol=1e-4, atol=1e-3)
        assert np.array_equal(made.gather([199, 3]), made.rows(0, 200)[[199, 3]])
    assert again.save() == (fields, payload)
    assert term.rank == 7


def test_no_bands_are_zero():
    term = MinMaxLowRank.of(TensorSpec((3, 4), "BF16"), [], np.zeros(0, np.float32), 128)
    assert term.nbytes == 0
    assert not term.rows(0, 3).any()
    assert not MinMaxLowRank.load(*_saved(term), term.spec).rows(0, 3).any()


def _saved(term):
    fields, payload = term.save()
    return fields, memoryview(payload)


@pytest.mark.parametrize(
    "wrong",
    [{"g": 0}, {"g": "8"}, {"t": 2}, {"b": [[9, 2]]}, {"b": [[8, 0]]}, {"b": [["F16", 2]]}, {"b": [[8, 10**9]]}],
)
def test_fields_that_lie(wrong):
    term = make()
    fields, payload = _saved(term)
    with pytest.raises(CheckpointError, match="low-rank"):
        MinMaxLowRank.load(fields | wrong, payload, term.spec)


def test_a_payload_that_is_cut():
    fields, payload = _saved(make())
    with pytest.raises(CheckpointError, match="its bands"):
        MinMaxLowRank.load(fields, payload[:-1], TensorSpec((200, 30), "BF16"))
