"""A difference in some rows alone."""

import numpy as np
import pytest

from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.rows import Rows, bitmap_bytes
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import TensorSpec
from support.tensors import normal

SPEC = TensorSpec((20, 6), "BF16")
IDS = np.array([1, 2, 9, 19])


def made():
    """(term, its matrix)."""
    small, values = SPEC.with_rows(4), normal((4, 6), 0)
    u, v = normal((4, 2), 1), normal((6, 2), 2)
    term = Rows(SPEC, IDS, (Dense.of(lambda lo, hi: values[lo:hi], small), LowRank.of(small, u, v, "F32")))
    whole = np.zeros((20, 6), np.float32)
    whole[IDS] = values + u @ v.T
    return term, whole


def again(term):
    fields, payload = term.save()
    return Rows.load(fields, memoryview(payload), term.spec)


def test_all_ways_to_read_agree():
    for term in (made()[0], again(made()[0])):
        whole = made()[1]
        assert np.allclose(term.rows(0, 20), whole, atol=1e-6)
        for lo, hi in [(0, 1), (1, 3), (3, 9), (5, 20), (7, 7)]:
            assert (term.rows(lo, hi) == term.rows(0, 20)[lo:hi]).all()
        assert np.allclose(term.gather([9, 0, 9, 2, 19]), whole[[9, 0, 9, 2, 19]], atol=1e-6)
        assert term.gather([]).shape == (0, 6)
        x = normal((3, 6), 5)
        assert np.allclose(term.matmul(x), x @ whole.T, atol=1e-5)
        assert np.isclose(term.inner(term), float((whole.astype(np.float64) ** 2).sum()))
        assert term.nbytes == len(term.save()[1])
    with pytest.raises(MismatchError):
        made()[0].matmul(normal((3, 5), 0))


def test_no_row_at_all():
    empty = again(Rows(SPEC, np.array([], np.int64), ()))
    assert empty.nbytes == 0
    assert not empty.rows(0, 20).any()
    assert not empty.gather([3]).any()
    assert not empty.matmul(normal((2, 6), 0)).any()


def test_few_rows_of_a_large_vocabulary_cost_little():
    spec = TensorSpec((128_000, 4), "BF16")
    assert Rows(spec, np.arange(100) * 1279, ()).nbytes < 600
    assert Rows(spec, np.arange(128_000), ()).nbytes < 40
    assert bitmap_bytes(9) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f | {"b": f["b"] + 1}, lambda f: f | {"b": -1}, lambda f: f | {"p": f["p"][:1]},
        lambda f: f | {"p": [["rows", {}, n] for _, _, n in f["p"]]},
        lambda f: f | {"p": [["exact", {}, n] for _, _, n in f["p"]]},
    ],
)  # fmt: skip
def test_malformed_terms_are_refused(change):
    fields, payload = made()[0].save()
    with pytest.raises(CheckpointError):
        Rows.load(change(fields), memoryview(payload), SPEC)


def test_a_bitmap_of_other_rows_is_refused():
    fields, payload = made()[0].save()
    with pytest.raises(CheckpointError):
        Rows.load(fields, memoryview(payload), SPEC.with_rows(18))
    with pytest.raises(CheckpointError, match="no bitmap"):
        Rows.load(fields, memoryview(payload), SPEC.with_rows(1 << 40))
