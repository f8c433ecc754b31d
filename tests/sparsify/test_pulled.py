"""Terms that are computed while they are read."""

import numpy as np
import pytest

from deltakit.delta.file.container import solid
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import DeltakitError
from deltakit.sparsify.pulled import Pulled
from deltakit.tensors import TensorSpec

SPEC = TensorSpec((6, 4), "F32")
VALUES = np.arange(24, dtype=np.float32).reshape(6, 4)


def term() -> Pulled:
    return Pulled(
        SPEC, "t", lambda name, lo, hi: VALUES[lo:hi], lambda: Sparse.nonzero(lambda lo, hi: VALUES[lo:hi], SPEC)
    )


def test_rows_gather_and_matmul():
    assert np.array_equal(term().rows(2, 4), VALUES[2:4])
    assert np.array_equal(term().gather([5, 0]), VALUES[[5, 0]])
    assert np.array_equal(term().matmul(np.eye(4, dtype=np.float32)), VALUES.T)


def test_it_is_stored_as_another_term():
    assert np.array_equal(solid(term()).rows(0, 6), VALUES)
    with pytest.raises(DeltakitError, match="'t'"):
        term().save()
    with pytest.raises(DeltakitError, match="never stored"):
        Pulled.load({}, memoryview(b""), SPEC)
