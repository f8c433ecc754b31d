"""The banded low-rank term. Run: pytest tests/delta/terms/test_lowrank.py"""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deltakit.delta.coding.factor import Code, Factor, midrise
from deltakit.delta.terms import lowrank
from deltakit.delta.terms.base import Term
from deltakit.delta.terms.lowrank import LowRank, payload_bytes
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import CheckpointError, MismatchError, RecipeError
from deltakit.tensors import TensorSpec

BANDS: list[tuple[Code, int]] = [(8, 1), (3, 5), (2, 9), (1, 4), ("F16", 2)]


def side(length: int, band: tuple[Code, int], rng: np.random.Generator) -> Factor:
    code, rank = band
    if isinstance(code, int):
        return Factor.of(rng.integers(0, 1 << code, (length, rank), dtype=np.uint8), code)
    return Factor.of(rng.standard_normal((length, rank)).astype(np.float32), code)


def make(shape: tuple[int, ...], bands: list[tuple[Code, int]] = BANDS, seed: int = 0) -> LowRank:
    spec, rng = TensorSpec(shape, "BF16"), np.random.default_rng(seed)
    rows, columns = matrix_shape(spec)
    pairs = [(side(rows, band, rng), side(columns, band, rng)) for band in bands]
    return LowRank.packed(spec, pairs, rng.standard_normal(sum(r for _, r in bands)).astype(np.float32))


def dense(term: LowRank) -> NDArray[Any]:
    u, s, v = term.factors()
    return (u.astype(np.float64) * s) @ v.T.astype(np.float64)


@pytest.mark.parametrize("height", [100, 512, 513, 1300])
def test_a_row_has_the_same_bits_whatever_the_range(height: int) -> None:
    term = make((height, 70))
    whole = term.rows(0, height)
    for lo, hi in ((0, 1), (height - 1, height), (height // 3, height // 2), (90, 100), (height - 90, height)):
        assert term.rows(lo, hi).tobytes() == whole[lo:hi].tobytes()


def test_terms_read_in_turns_and_by_threads_keep_their_numbers() -> None:
    terms = [make((40, 30), seed=seed) for seed in range(4)]
    want = [term.rows(0, 40).tobytes() for term in terms]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: terms[i % 4].rows(0, 40).tobytes(), range(64)))
    assert found == want * 16


def test_a_dead_term_lets_its_numbers_go() -> None:
    term = make((40, 30))
    term.rows(0, 3)
    assert hasattr(lowrank._LAST, "kept")
    del term
    gc.collect()
    assert not hasattr(lowrank._LAST, "kept")


class Other(Term):
    """A term of another kind with the same numbers."""

    kind = "other"

    def __init__(self, term: Term) -> None:
        self.term, self.spec = term, term.spec

    def rows(self, lo: int, hi: int) -> Any:
        return self.term.rows(lo, hi)

    def save(self) -> tuple[dict[str, Any], bytes]:
        return {}, b""

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Other:
        raise NotImplementedError


@pytest.mark.parametrize("shape", [(1, 1), (63, 7), (300, 65), (4, 40, 10), (17,), (0, 5), (5, 0)])
def test_saves_and_loads_the_bytes_it_counts(shape: tuple[int, ...]) -> None:
    term = make(shape)
    fields, payload = term.save()
    assert len(payload) == term.nbytes == payload_bytes(matrix_shape(term.spec), term.bands)
    again = LowRank.load(fields, memoryview(payload), term.spec)
    assert again.save() == (fields, payload)
    assert np.array_equal(again.rows(0, term.spec.rows), term.rows(0, term.spec.rows))


def test_the_payload_is_what_the_format_says() -> None:
    spec = TensorSpec((3, 2), "BF16")
    u, v = np.array([[0], [3], [1]], np.uint8), np.array([[2], [0]], np.uint8)
    term = LowRank.packed(spec, [(Factor.of(u, 2), Factor.of(v, 2))], np.array([2.0], np.float32))
    assert term.save() == ({"b": [[2, 1]]}, bytes.fromhex("0040" + "1c" + "02"))
    # codes 0..3 are -1.5, -0.5, 0.5, 1.5
    assert term.rows(0, 3).tolist() == [[-1.5, 4.5], [1.5, -4.5], [-0.5, 1.5]]


@pytest.mark.parametrize("shape", [(300, 65), (4, 40, 10), (17,)])
def test_rows_are_the_product_whatever_the_range(shape: tuple[int, ...]) -> None:
    term = make(shape)
    whole = term.rows(0, term.spec.rows)
    assert np.allclose(whole.reshape(matrix_shape(term.spec)), dense(term), rtol=1e-4, atol=1e-4)
    for lo, hi in ((0, 1), (1, 3), (2, 2), (term.spec.rows - 1, term.spec.rows)):
        assert np.array_equal(term.rows(lo, hi), whole[lo:hi])  # bit for bit


def test_rows_in_any_chunks_have_the_same_bits() -> None:
    term = make((300, 65))
    whole = term.rows(0, 300)
    for step in (1, 7, 64, 128, 129):
        pieces = [term.rows(lo, min(300, lo + step)) for lo in range(0, 300, step)]
        assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("shape", [(130, 65), (4, 40, 10)])
def test_matmul_and_gather_agree_with_the_materialised_matrix(shape: tuple[int, ...]) -> None:
    term = make(shape)
    whole = term.rows(0, term.spec.rows)
    ids = [3, 0, 3, 1]
    assert np.allclose(term.gather(ids), whole[ids], rtol=1e-4, atol=1e-4)
    assert np.allclose(term.matmul(np.eye(term.spec.row_size, dtype=np.float32)), whole.T, rtol=1e-4, atol=1e-4)
    assert term.gather([]).shape == (0, term.spec.row_size)


def test_inner_by_factors_agrees_with_rows() -> None:
    a, b = make((130, 65)), make((130, 65), [(4, 3)], seed=1)
    want = float((dense(a) * dense(b)).sum())
    assert a.inner(b) == pytest.approx(want, rel=1e-9)
    assert a.inner(Other(b)) == pytest.approx(want, rel=1e-4)
    assert a.inner(a) == pytest.approx(float((dense(a) ** 2).sum()), rel=1e-9)


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_float_factors_are_kept_as_they_are(dtype: str) -> None:
    rng = np.random.default_rng(2)
    u, v = (np.float32(np.round(rng.standard_normal((n, 4)) * 8) / 8) for n in (20, 9))
    term = LowRank.of(TensorSpec((20, 9), "F32"), u, v, dtype)
    assert np.array_equal(term.factors()[0], u)
    assert np.array_equal(term.factors()[2], v)
    assert np.array_equal(term.rows(0, 20), u @ v.T)
    assert term.nbytes == (20 + 9) * 4 * (4 if dtype == "F32" else 2)
    fields, payload = term.save()
    assert np.array_equal(LowRank.load(fields, memoryview(payload), term.spec).rows(0, 20), u @ v.T)


def test_rank_zero_is_the_zero_matrix_in_no_bytes() -> None:
    term = LowRank.packed(TensorSpec((5, 3), "BF16"), [], np.empty(0, np.float32))
    assert term.nbytes == 0
    assert not term.rows(0, 5).any()
    assert not term.gather([1]).any()
    assert not term.matmul(np.ones((2, 3), np.float32)).any()
    assert LowRank.load(*prepared(term), term.spec).rank == 0


def prepared(term: LowRank) -> tuple[dict[str, Any], memoryview]:
    fields, payload = term.save()
    return fields, memoryview(payload)


def test_a_float16_overflow_is_refused() -> None:
    big = np.full((2, 1), 1e6, np.float32)
    with pytest.raises(RecipeError, match="float16"):
        LowRank.of(TensorSpec((2, 2), "F32"), big, big, "F16")


@pytest.mark.parametrize(
    "fields",
    [
        {"b": [[9, 1]]},
        {"b": [["F8", 1]]},
        {"b": [[2, -1]]},
        {"b": [[True, 1]]},
        {"b": [[2]]},
        {"b": [[2, 1]], "s": "I8"},
    ],
)
def test_broken_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="low-rank"):
        LowRank.load(fields, memoryview(b""), TensorSpec((3, 2), "BF16"))


def test_a_payload_of_another_length_is_refused() -> None:
    fields, payload = make((20, 9)).save()
    with pytest.raises(CheckpointError, match="bytes, its bands"):
        LowRank.load(fields, memoryview(payload[:-1]), TensorSpec((20, 9), "BF16"))


def test_codes_stand_for_half_odd_numbers() -> None:
    assert midrise(1).tolist() == [-0.5, 0.5]
    assert midrise(2).tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert midrise(8)[[0, 255]].tolist() == [-127.5, 127.5]


def test_scales_can_be_replaced_while_the_codes_stay() -> None:
    term = make((20, 9))
    u, s, v = term.factors()
    changed = term.with_scales(np.asarray(2 * s, np.float32))
    fields, payload = changed.save()
    again = LowRank.load(fields, memoryview(payload), term.spec)
    np.testing.assert_allclose(again.rows(0, 20), (u * (2 * s)) @ v.T, rtol=1e-5, atol=1e-5)
    assert [pair[0].raw for pair in again.pairs] == [pair[0].raw for pair in term.pairs]
    with pytest.raises(MismatchError, match="rank"):
        term.with_scales(s[1:])


def test_bare_factors_get_scales_of_their_own() -> None:
    rng = np.random.default_rng(0)
    u, v = (rng.standard_normal((n, 3)).astype(np.float32) for n in (6, 5))
    changed = LowRank.of(TensorSpec((6, 5), "F32"), u, v, "F32").with_scales(np.array([1, 2, 4], np.float32))
    np.testing.assert_allclose(changed.rows(0, 6), (u * [1, 2, 4]) @ v.T, rtol=1e-5)
    assert changed.save()[0] == {"b": [["F32", 3]]}
