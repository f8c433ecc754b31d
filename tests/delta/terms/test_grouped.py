"""The grouped term. Run: pytest tests/delta/terms/test_grouped.py"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deltakit.delta.coding.grid import scaled
from deltakit.delta.terms.grouped import Grouped, grouped_bytes
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec


def make(shape: tuple[int, ...], bits: int, group: int, zero: bool = False, seed: int = 0) -> tuple[Grouped, Any]:
    """A term and the matrix that it stands for."""
    spec, rng = TensorSpec(shape, "BF16"), np.random.default_rng(seed)
    rows, columns = matrix_shape(spec)
    codes = rng.integers(0, 1 << bits, (rows, columns), dtype=np.uint8)
    scales = np.float32(2.0) ** rng.integers(-3, 3, (rows, -(-columns // group))).astype(np.float32)
    want = scaled(codes, scales, group, bits, zero)
    return Grouped.of(spec, codes, scales, bits, group, zero), want.reshape(spec.rows, spec.row_size)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (9, 7), (63, 63), (20, 130), (3, 20, 11), (17,), (0, 4), (4, 0)])
def test_what_is_stored_is_what_it_stands_for(shape: tuple[int, ...], bits: int, zero: bool) -> None:
    term, want = make(shape, bits, 16, zero)
    fields, payload = term.save()
    assert len(payload) == term.nbytes == grouped_bytes(matrix_shape(term.spec), bits, 16)
    again = Grouped.load(fields, memoryview(payload), term.spec)
    for made in (term, again):
        assert np.array_equal(made.rows(0, term.spec.rows), want)
        for lo in range(min(term.spec.rows, 5)):
            assert np.array_equal(made.rows(lo, lo + 1), want[lo : lo + 1])
    assert again.save() == (fields, payload)


def test_matmul_gather_and_inner_agree_with_the_matrix() -> None:
    term, want = make((200, 65), 3, 16)
    assert np.allclose(term.matmul(np.eye(65, dtype=np.float32)), want.T)
    assert np.array_equal(term.gather([199, 0, 7]), want[[199, 0, 7]])
    assert term.inner(term) == pytest.approx(float((want.astype(np.float64) ** 2).sum()))


def test_large_ranges_have_the_same_numbers() -> None:
    term, want = make((512, 1000), 3, 128)  # rows whose codes do not begin at whole bytes' groups
    assert np.array_equal(term.rows(0, 512), want)
    assert np.array_equal(term.rows(3, 300), want[3:300])


@pytest.mark.parametrize("wide", [0, 1, 7, 20])
@pytest.mark.parametrize("zero", [False, True])
def test_rows_of_one_bit_less(wide: int, zero: bool) -> None:
    spec, rng = TensorSpec((20, 13), "BF16"), np.random.default_rng(0)
    codes = rng.integers(0, 8, (20, 13), dtype=np.uint8)
    codes[wide:] %= 4
    scales = np.float32(2.0) ** rng.integers(-3, 3, (20, 2)).astype(np.float32)
    term = Grouped.of(spec, codes, scales, 3, 8, zero, wide)
    want = scaled(codes, scales, 8, 3, zero)
    want[wide:] = scaled(codes[wide:], scales[wide:], 8, 2, zero)
    fields, payload = term.save()
    assert fields == {"b": 3, "g": 8, "m": wide} | ({"z": 1} if zero else {})
    assert len(payload) == term.nbytes == 80 + -(-wide * 39 // 8) + -(-(20 - wide) * 26 // 8)
    again = Grouped.load(fields, memoryview(payload), spec)
    for lo, hi in ((0, 20), (0, 7), (7, 20), (6, 8), (3, 3)):
        assert np.array_equal(again.rows(lo, hi), want[lo:hi])
    for m in (-1, 21, 1.0):
        with pytest.raises(CheckpointError, match="wide rows"):
            Grouped.load(fields | {"m": m}, memoryview(payload), spec)


def test_golden_bytes() -> None:
    codes = np.array([[0, 1, 2], [3, 3, 0]], np.uint8)
    scales = np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
    term = Grouped.of(TensorSpec((2, 3), "BF16"), codes, scales, 2, 2)
    assert term.save() == ({"b": 2, "g": 2}, bytes.fromhex("803f 0040 003f 80bf" + "e403"))
    assert term.rows(0, 2).tolist() == [[-1.5, -0.5, 1], [0.75, 0.75, 1.5]]
    with_zero = Grouped.of(TensorSpec((2, 3), "BF16"), codes, scales, 2, 2, True)
    assert with_zero.save()[0] == {"b": 2, "g": 2, "z": 1}
    assert with_zero.rows(0, 2).tolist() == [[-2, -1, 0], [0.5, 0.5, 2]]


@pytest.mark.parametrize(
    "fields", [{}, {"b": 9, "g": 2}, {"b": 0, "g": 2}, {"b": True, "g": 2}, {"b": 2, "g": 0}, {"b": 2, "g": 2, "z": 2}]
)
def test_broken_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="a grouped term has"):
        Grouped.load(fields, memoryview(b"\0" * 10), TensorSpec((2, 3), "BF16"))


def test_a_payload_of_another_length_is_refused() -> None:
    fields, payload = make((20, 9), 3, 4)[0].save()
    for broken in (payload[:-1], payload + b"\0"):
        with pytest.raises(CheckpointError, match="a grouped payload has"):
            Grouped.load(fields, memoryview(broken), TensorSpec((20, 9), "BF16"))
