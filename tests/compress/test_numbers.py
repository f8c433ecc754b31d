"""The numbers that are measured and coded. Run: pytest tests/compress/test_numbers.py"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltakit.compress.numbers import check_entry, loss, matrix_of, stored_bytes
from deltakit.compress.plan.plan import Row
from deltakit.compress.run.encode import encoded
from deltakit.delta.difference import difference
from deltakit.delta.expression import Entry, Lineage, Part
from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.lowrank import LowRank
from deltakit.errors import InputError
from deltakit.tensors import TensorSpec
from support.tensors import memory, normal, tensor

SHAPE = (6, 4, 5)


def pair(bad=False):
    """The entry of a changed tensor over its base, and the change."""
    base, tuned = normal(SHAPE, 0), normal(SHAPE, 1)
    if bad:
        tuned[2, 1, 3] = np.nan
    return difference(memory({"w": tensor(base, "F32")}), memory({"w": tensor(tuned, "F32")})).entries[
        "w"
    ], tuned - base


def stored(term):
    return Entry(term.spec, term.spec.rows, (Part(0.5, term),))


def test_the_matrix_is_the_difference():
    entry, change = pair()
    assert np.array_equal(matrix_of("w", entry), change.reshape(24, 5))
    check_entry("w", entry)


def test_what_is_lost_and_what_there_was():
    entry, change = pair()
    whole = float(np.square(change, dtype=np.float64).sum())
    assert loss(entry, entry) == (0.0, pytest.approx(whole))
    assert loss(entry, replace(entry, parts=())) == (pytest.approx(whole), pytest.approx(whole))


def test_numbers_that_are_not_finite_are_counted_by_name():
    for look in (matrix_of, check_entry):
        with pytest.raises(InputError, match="'w': 1 of 120 differences are not finite"):
            look("w", pair(bad=True)[0])


def test_what_is_stored_says_what_it_takes():
    assert stored_bytes(pair()[0]) is None
    spec = TensorSpec((6, 5), "F32")
    assert stored_bytes(stored(LowRank.of(spec, normal((6, 2), 2), normal((5, 2), 3), "F32"))) == 4 * 2 * (6 + 5)


def test_what_is_stored_must_be_finite_too():
    """A term that is small enough to be kept is looked at like all others."""
    term = Dense.of(lambda lo, hi: np.full((hi - lo, 5), np.inf, np.float32), TensorSpec((6, 5), "F32"))
    with pytest.raises(InputError, match="30 of 30"):
        check_entry("w", stored(term))
    row = Row("w", (6, 5), "F32", "codec", 4096, "lowrank")
    with pytest.raises(InputError, match="30 of 30"):
        encoded(row, stored(term), Lineage())
