"""The sign term. Run: pytest tests/delta/terms/test_sign.py"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.sign import Sign, scale_shape, sign_bytes
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import TensorSpec

AXES = ["scalar", "row", "column"]


def make(shape: tuple[int, ...], axis: str, zeros: float | None = None, seed: int = 0) -> tuple[Sign, Any]:
    """A term and the matrix that it stands for."""
    spec, rng = TensorSpec(shape, "BF16"), np.random.default_rng(seed)
    size = matrix_shape(spec)
    plus = rng.random(size) < 0.5
    scales = np.float32(2.0) ** rng.integers(-3, 3, scale_shape(size, axis)).astype(np.float32)
    mask = None if zeros is None else rng.random(size) >= zeros
    want = np.where(plus, 1, -1) * scales * (1 if mask is None else mask)
    return Sign.of(spec, plus, scales, axis, mask), want.astype(np.float32)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("zeros", [None, 0.0, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (9, 7), (200, 65), (3, 20, 11), (17,), (0, 4), (4, 0)])
def test_what_is_stored_is_what_it_stands_for(shape: tuple[int, ...], axis: str, zeros: float | None) -> None:
    term, want = make(shape, axis, zeros)
    fields, payload = term.save()
    assert len(payload) == term.nbytes
    if zeros is None:
        assert term.nbytes == sign_bytes(matrix_shape(term.spec), axis)
    again = Sign.load(fields, memoryview(payload), term.spec)
    flat = want.reshape(term.spec.rows, -1) if want.size else want.reshape(term.spec.rows, term.spec.row_size)
    for made in (term, again):
        assert np.array_equal(made.rows(0, term.spec.rows), flat)
        for lo in range(min(term.spec.rows, 5)):
            assert np.array_equal(made.rows(lo, lo + 1), flat[lo : lo + 1])
    assert again.save() == (fields, payload)


@pytest.mark.parametrize("axis", AXES)
def test_matmul_gather_and_inner_agree_with_the_matrix(axis: str) -> None:
    term, want = make((200, 65), axis, 0.3)
    assert np.array_equal(term.matmul(np.eye(65, dtype=np.float32)), want.T)
    assert np.array_equal(term.gather([199, 0, 7]), want[[199, 0, 7]])
    assert term.inner(term) == pytest.approx(float((want.astype(np.float64) ** 2).sum()))


def test_golden_bytes() -> None:
    spec = TensorSpec((2, 5), "BF16")
    plus = np.array([[1, 0, 0, 1, 1], [0, 1, 0, 0, 1]], bool)
    plain = Sign.of(spec, plus, np.array([0.5], np.float32), "scalar")
    assert plain.save() == ({"a": "scalar"}, bytes.fromhex("0000003f" + "5902"))
    mask = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 0, 1]], bool)
    masked = Sign.of(spec, plus, np.array([1.0, 2.0], np.float32), "row", mask)
    assert masked.save() == ({"a": "row", "z": 2}, bytes.fromhex("803f" + "0040" + "3302" + "15"))
    assert masked.rows(0, 2).tolist() == [[1, -1, 0, 0, 1], [-2, 0, 0, 0, 2]]


def test_clustered_zeros_cost_next_to_nothing() -> None:
    spec = TensorSpec((1000, 64), "BF16")
    mask = np.zeros((1000, 64), bool)
    mask[:100] = True
    term = Sign.of(spec, mask, np.ones(1, np.float32), "scalar", mask)
    assert term.nbytes < 100 * 64 / 8 + 60
    assert not term.rows(100, 1000).any()


@pytest.mark.parametrize("fields", [{"a": "diagonal"}, {"a": "scalar", "z": -1}, {"a": "scalar", "z": 10**9}])
def test_broken_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="sign"):
        Sign.load(fields, memoryview(b"\0" * 10), TensorSpec((2, 5), "BF16"))


@pytest.mark.parametrize("zeros", [None, 0.3])
def test_a_payload_of_another_length_is_refused(zeros: float | None) -> None:
    term, _ = make((20, 9), "row", zeros)
    fields, payload = term.save()
    for broken in (payload[:-1], payload + b"\0"):
        with pytest.raises(CheckpointError, match="sign payload"):
            Sign.load(fields, memoryview(broken), term.spec)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("zeros", [None, 0.3])
def test_scales_can_be_replaced_while_the_signs_stay(axis: str, zeros: float | None) -> None:
    term, want = make((12, 9), axis, zeros)
    changed = term.with_scales(4 * term.scales)
    assert np.array_equal(changed.rows(0, 12), 4 * want)
    assert bytes(changed.signs) == bytes(term.signs)
    with pytest.raises(MismatchError, match="scales"):
        term.with_scales(np.zeros((2, 2), np.float32))
