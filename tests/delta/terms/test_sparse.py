"""Sparse terms: seeded masks cost nothing and are the ones of the file format; bitmaps find every zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit import rng
from deltakit.delta.terms import sparse
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec
from support.tensors import normal


@given(st.integers(1, 40), st.integers(1, 9), st.floats(0.01, 1.0), st.integers(0, 2**64 - 1))
def test_a_seeded_mask_is_the_stream_of_its_key(rows, width, density, key):
    values = normal((rows, width), 3) + 10
    term = Sparse.seeded(lambda lo, hi: values[lo:hi], TensorSpec((rows, width), "BF16"), key, density, 2.0)
    keep = rng.keep_mask(key, 0, rows * width, density).reshape(rows, width)
    assert (term.rows(0, rows) == np.where(keep, values * np.float32(2), 0)).all()


def test_chunks_do_not_change_the_mask(monkeypatch):
    values = normal((40, 6), 0)
    spec = TensorSpec((40, 6), "BF16")
    whole = Sparse.seeded(lambda lo, hi: values[lo:hi], spec, 7, 0.4, 1.0)
    monkeypatch.setattr(sparse, "CHUNK", 18)
    parts = Sparse.seeded(lambda lo, hi: values[lo:hi], spec, 7, 0.4, 1.0)
    assert (whole.rows(0, 40) == parts.rows(0, 40)).all()
    assert (parts.rows(4, 23) == whole.rows(0, 40)[4:23]).all()


def test_the_density_is_the_one_really_used():
    term = Sparse.seeded(lambda lo, hi: np.ones((hi - lo, 1), np.float32), TensorSpec((8, 1), "F32"), 0, 0.1, 1.0)
    assert term.density == rng.probability(0.1)
    assert Sparse.nonzero(lambda lo, hi: np.ones((hi - lo, 1), np.float32), TensorSpec((8, 1), "F32")).density is None


def test_a_sparse_delta_costs_about_its_share():
    values = normal((300, 300), 0).astype(np.float16).astype(np.float32)
    spec = TensorSpec((300, 300), "F16")
    full = Sparse.seeded(lambda lo, hi: values[lo:hi], spec, 1, 1.0, 1.0).nbytes
    tenth = Sparse.seeded(lambda lo, hi: values[lo:hi], spec, 1, 0.1, 10.0).nbytes
    assert tenth < 0.12 * full


def test_a_bitmap_of_nothing_and_of_everything():
    for value in (0.0, 1.0):
        values = np.full((20, 3), value, np.float32)
        term = Sparse.nonzero(lambda lo, hi, v=values: v[lo:hi], TensorSpec((20, 3), "F32"))
        assert (term.rows(0, 20) == values).all()


@pytest.mark.parametrize("cut", [0, 3, 6, -1])
def test_a_cut_payload_is_refused(cut):
    values = normal((8, 8), 0)
    spec = TensorSpec((8, 8), "F32")
    payload = Sparse.nonzero(lambda lo, hi: values[lo:hi], spec).payload
    with pytest.raises(CheckpointError):
        Sparse.load({}, payload[:cut], spec)
