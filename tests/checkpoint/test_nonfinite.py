"""Counting NaN and infinite values by bits agrees with counting them by value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.checkpoint.nonfinite import count_nonfinite
from deltakit.tensors import ITEMSIZE, to_float32

F64 = np.array([0.0, np.nan, -np.inf, np.inf, 1e308], "<f8")


@given(st.binary(max_size=64), st.sampled_from(["BF16", "F16", "F32"]))
def test_it_agrees_with_the_values(raw: bytes, dtype: str) -> None:
    raw = raw[: len(raw) // 4 * 4]
    values = to_float32(raw, dtype)
    assert count_nonfinite(raw, dtype) == (np.isnan(values).sum(), np.isinf(values).sum())


def test_f64() -> None:
    assert count_nonfinite(F64.tobytes(), "F64") == (1, 2)


@pytest.mark.parametrize("dtype", [d for d in ITEMSIZE if d not in ("BF16", "F16", "F32", "F64")])
def test_integers_have_none(dtype: str) -> None:
    assert count_nonfinite(b"\xff" * 8, dtype) == (0, 0)


def test_a_few_among_many_are_found_in_every_piece() -> None:
    values = np.full((1 << 19) + 3, -3.5, "<f2")
    values[[0, 1 << 18, -1]] = np.inf, -np.inf, np.nan
    assert count_nonfinite(values, "F16") == (1, 2)
