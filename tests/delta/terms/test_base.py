"""The contract of terms: every kind gathers, multiplies and takes inner products as its dense rows do."""

import numpy as np
import pytest

from deltakit.delta.terms import TERMS
from deltakit.delta.terms.base import base_floats
from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.raw import Raw
from deltakit.delta.terms.ref import Ref
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import MismatchError
from deltakit.tensors import TensorSpec
from support.tensors import memory, normal, tensor

SHAPES = [(9, 7), (63,), (1,), (0,), (1, 5), (4, 3, 2), (0, 6)]


def terms(shape):
    """One term of every kind that holds any tensor, over one base."""
    base = memory({"w": tensor(normal(shape, 1))})
    tuned = memory({"w": tensor(normal(shape, 2))})
    spec = TensorSpec(shape, "BF16")
    delta = normal(shape, 3).reshape(spec.rows, spec.row_size)
    delta[np.abs(delta) < 0.5] = 0

    def rows(lo, hi):
        return delta[lo:hi]

    found = [
        Ref(spec, "w", base, tuned),
        Exact.of(base, tuned, "w", spec),
        Raw.of(tuned, "w"),
        Dense.of(rows, spec),
        Dense.of(rows, spec, "BF16"),
        Sparse.nonzero(rows, spec, 0.5),
        Sparse.seeded(rows, spec, 12345, 0.3, 1 / 0.3),
    ]
    return base, found


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_agrees_with_its_dense_rows(shape):
    _, found = terms(shape)
    for term in found:
        spec = term.spec
        dense = term.rows(0, spec.rows)
        assert dense.shape == (spec.rows, spec.row_size)
        assert dense.dtype == np.float32
        if spec.rows > 2:
            assert (term.rows(1, spec.rows - 1) == dense[1:-1]).all()
            assert (term.gather([2, 0, 2]) == dense[[2, 0, 2]]).all()
        x = normal((4, spec.row_size), 9)
        np.testing.assert_allclose(term.matmul(x), x @ dense.T, rtol=1e-5, atol=1e-5)
        for other in found:
            want = float((dense.astype(np.float64) * other.rows(0, spec.rows)).sum())
            np.testing.assert_allclose(term.inner(other), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_is_the_same_after_saving(shape):
    base, found = terms(shape)
    for term in found:
        if term.kind == "ref":
            continue
        fields, payload = term.save()
        assert term.nbytes == len(payload)
        again = TERMS.factory(term.kind).load(fields, memoryview(payload), term.spec).bind(base, "w")
        assert (again.rows(0, term.spec.rows) == term.rows(0, term.spec.rows)).all()
        assert again.save() == (fields, payload)


def test_shapes_that_do_not_fit_are_refused():
    _, found = terms((9, 7))
    with pytest.raises(MismatchError, match="do not fit"):
        found[0].matmul(normal((2, 6), 0))
    _, others = terms((9, 6))
    with pytest.raises(MismatchError, match="shapes"):
        found[0].inner(others[0])


def test_a_base_of_another_dtype_is_seen_in_the_tuned_dtype():
    base = memory({"w": tensor([[1.00001, 2.0]], "F32")})
    assert base_floats(base, "w", 0, 1, "BF16").tolist() == [[1.0, 2.0]]
    assert base_floats(base, "w", 0, 1, "F32")[0, 0] == np.float32(1.00001)
