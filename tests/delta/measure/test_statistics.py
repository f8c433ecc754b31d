"""Statistics against their definitions."""

import numpy as np
import pytest

from deltakit.delta.difference import difference
from deltakit.delta.measure.statistics import apart, delta_statistics, spectrum, summary
from support.tensors import bits, memory, normal, pair, tensor


def test_norms_changes_and_largest():
    base = memory({"w": tensor([[3.0, 4.0], [0.0, 0.0]], "F32"), "i": bits([1], "I64")})
    tuned = memory({"w": tensor([[3.0, 4.0], [0.0, 2.0]], "F32"), "i": bits([1], "I64")})
    (row,) = delta_statistics(base, difference(base, tuned))
    assert (row.norm, row.base_norm, row.relative) == (2.0, 5.0, 0.4)
    assert (row.changed, row.largest, row.added_rows, row.nonfinite) == (0.25, 2.0, 0, 0)
    assert row.as_dict()["name"] == "w"
    total = summary([row, row])
    assert total["norm"] == pytest.approx(np.sqrt(8))
    assert total["changed"] == 0.25
    assert summary([])["relative"] == 0.0


def test_nonfinite_differences_are_counted_and_do_not_drown_the_rest():
    base, tuned = memory({"w": tensor([1.0, 1.0, 1.0])}), memory({"w": tensor([np.nan, np.inf, 2.0])})
    (row,) = delta_statistics(base, difference(base, tuned))
    assert (row.nonfinite, row.largest) == (2, 1.0)


def test_added_rows_are_counted_apart():
    base, tuned = memory({"w": tensor(normal((3, 2), 0))}), memory({"w": tensor(normal((5, 2), 0))})
    (row,) = delta_statistics(base, difference(base, tuned))
    assert (row.added_rows, row.elements) == (2, 6)


def test_spectrum():
    base, tuned = pair("F32")
    delta = difference(base, tuned)
    want = np.linalg.svd(delta.rows("a.weight", 0, 12), compute_uv=False)
    np.testing.assert_allclose(spectrum(delta, "a.weight"), want, rtol=1e-5)


def test_what_no_norm_says_is_said_apart():
    first = memory({"w": tensor(normal((4, 2), 0)), "i": bits([1, 2], "I64"), "old": tensor([1.0])})
    second = memory({"w": tensor(normal((3, 2), 0)), "i": bits([1, 3], "I64"), "new": tensor([1.0])})
    assert apart(first, second).as_dict() == {
        "only_first": ("old",),
        "only_second": ("new",),
        "integers": ("i",),
        "fewer_rows": ("w",),
    }
    assert not any(apart(first, first).as_dict().values())
