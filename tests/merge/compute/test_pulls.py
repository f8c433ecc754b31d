"""The named pulls at the ends of a merge: each gives what its rows are said to be."""

from __future__ import annotations

import numpy as np

from deltakit.delta.difference import difference
from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.compute.pulls import BaseRows, ModelBits, ModelRows, Rounded, TermRows
from deltakit.tensors import Mapped, TensorSpec, as_bytes, from_float32, to_float32

VALUES = np.array([[1.0, 2.5], [-0.0, 3.25]], np.float32)
TUNED = np.array([[1.5, 2.5], [0.0, 3.0]], np.float32)
SPECS = {"a": TensorSpec((2, 2), "BF16")}


def model(values: np.ndarray) -> Mapped:
    return Mapped(SPECS, lambda name, lo, hi: as_bytes(from_float32(values[lo:hi], "BF16")))


def test_rows_of_a_base_and_of_a_model_over_it() -> None:
    base, delta = BaseRows(model(VALUES), SPECS), difference(model(VALUES), model(TUNED))
    np.testing.assert_array_equal(base("a", 1, 2), VALUES[1:2])
    np.testing.assert_array_equal(ModelRows(delta, base)("a", 0, 2), TUNED)
    np.testing.assert_array_equal(TermRows(delta.entries["a"].parts[0].term)("a", 0, 1), (TUNED - VALUES)[:1])


def test_a_rounded_pull_and_the_bits_of_a_computed_model() -> None:
    fine = VALUES + np.float32(1e-3)
    rounded = Rounded(lambda name, lo, hi: fine[lo:hi], Arithmetic("BF16"))
    np.testing.assert_array_equal(rounded("a", 0, 2), to_float32(from_float32(fine, "BF16"), "BF16").reshape(2, 2))
    bits = ModelBits(lambda name, lo, hi: fine[lo:hi], SPECS["a"])
    assert bytes(bits("a", 0, 2)) == from_float32(fine, "BF16").tobytes()
