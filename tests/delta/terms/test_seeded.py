"""The seeded term. Run: pytest tests/delta/terms/test_seeded.py"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deltakit import rng
from deltakit.delta.coding.grid import scaled
from deltakit.delta.coding.packing import pack
from deltakit.delta.terms import seeded
from deltakit.delta.terms.seeded import CHUNK, Seeded, seeded_bytes
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec, from_float32

KEY = 77


def make(
    shape: tuple[int, ...], density: float, code: int | str, group: int = 16, zero: bool = False
) -> tuple[Seeded, Any]:
    """A term and the matrix that it stands for."""
    spec, rand = TensorSpec(shape, "BF16"), np.random.default_rng(0)
    threshold = rng.threshold(density)
    mask = rng.lanes(KEY, 0, spec.numel) <= np.uint32(threshold - 1)
    kept, want = int(mask.sum()), np.zeros(spec.numel, np.float32)
    if isinstance(code, int):
        codes = rand.integers(0, 1 << code, -(-kept // group) * group, dtype=np.uint8).reshape(-1, group)
        scales = np.float32(2.0) ** rand.integers(-3, 3, (len(codes), 1)).astype(np.float32)
        want[mask] = scaled(codes, scales, group, code, zero).ravel()[:kept]
        raw = from_float32(scales.ravel(), "BF16").tobytes() + pack(codes.ravel()[:kept], code)
    else:
        want[mask] = np.round(rand.standard_normal(kept), 1) * 0 + np.arange(kept) % 100
        raw = from_float32(want[mask], code).tobytes()
    counts = np.array([mask[lo : lo + CHUNK].sum() for lo in range(0, spec.numel, CHUNK)], np.uint32)
    term = Seeded(spec, KEY, threshold, code, group, counts, memoryview(raw), zero)
    return term, want.reshape(spec.rows, spec.row_size)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 8, "BF16", "F32"])
@pytest.mark.parametrize("density", [1e-9, 0.25, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (9, 7), (63, 63), (3, 20, 11), (17,), (0, 4), (4, 0)])
def test_what_is_stored_is_what_it_stands_for(shape: tuple[int, ...], density: float, code: int | str) -> None:
    term, want = make(shape, density, code)
    fields, payload = term.save()
    assert len(payload) == term.nbytes == seeded_bytes(term.spec.numel, int(term.counts.sum()), code, 16)
    again = Seeded.load(fields, memoryview(payload), term.spec)
    for made in (term, again):
        assert np.array_equal(made.rows(0, term.spec.rows), want)
        for lo in range(min(term.spec.rows, 5)):
            assert np.array_equal(made.rows(lo, lo + 1), want[lo : lo + 1])
    assert again.save() == (fields, payload)


@pytest.mark.parametrize("code", [3, "F16"])
@pytest.mark.parametrize("zero", [False, True])
def test_ranges_across_chunks_compiled_or_not(code: int | str, zero: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    term, want = make((401, 501), 0.3, code, 50, zero)  # three chunks and a piece
    assert len(term.counts) == 4
    for lo, hi in ((0, 401), (129, 270), (131, 132), (130, 131), (400, 401), (7, 7)):
        assert np.array_equal(term.rows(lo, hi), want[lo:hi])
    monkeypatch.setattr(seeded, "_LARGE", 1 << 60)
    assert np.array_equal(term.rows(0, 401), want)
    assert np.array_equal(term.rows(129, 270), want[129:270])


def test_matmul_gather_and_inner_agree_with_the_matrix() -> None:
    term, want = make((200, 65), 0.4, 3)
    assert np.allclose(term.matmul(np.eye(65, dtype=np.float32)), want.T)
    assert np.array_equal(term.gather([199, 0, 7]), want[[199, 0, 7]])
    assert term.inner(term) == pytest.approx(float((want.astype(np.float64) ** 2).sum()))
    assert term.density == pytest.approx(0.4)


def test_golden_bytes() -> None:
    # the first lanes of key 0: 7b1dcdaf e220a839 a1b965f4 6e789e6a 8009454f 06c45d18; 0, 3 and 5 are below 2**31
    codes = memoryview(bytes.fromhex("803f 0040" + "1b00"))
    term = Seeded(TensorSpec((2, 3), "BF16"), 0, 1 << 31, 3, 2, np.array([3], np.uint32), codes)
    assert term.rows(0, 2).tolist() == [[-0.5, 0, 0], [-0.5, 0, -7]]
    fields = {"k": 0, "t": 1 << 31, "b": 3, "g": 2}
    assert term.save() == (fields, bytes.fromhex("03000000" + "803f0040" + "1b00"))
    assert Seeded.load(fields, memoryview(term.save()[1]), term.spec).rows(1, 2).tolist() == [[-0.5, 0, -7]]


@pytest.mark.parametrize(
    "wrong",
    [{"k": -1}, {"k": 2**64}, {"k": "0"}, {"t": 0}, {"t": 2**32 + 1}, {"b": 9}, {"b": "U8"}, {"g": 0}, {"z": 3}],
)
def test_broken_fields_are_refused(wrong: dict[str, Any]) -> None:
    fields, payload = make((20, 9), 0.5, 3)[0].save()
    with pytest.raises(CheckpointError, match="a seeded term has the fields"):
        Seeded.load(fields | wrong, memoryview(payload), TensorSpec((20, 9), "BF16"))


def test_a_payload_of_another_length_is_refused() -> None:
    fields, payload = make((20, 9), 0.5, 3)[0].save()
    for broken in (payload[:-1], payload + b"\0", payload[:3], b"", b"\xff\xff\xff\xff" + payload[4:]):
        with pytest.raises(CheckpointError, match="a seeded payload has"):
            Seeded.load(fields, memoryview(broken), TensorSpec((20, 9), "BF16"))


@pytest.mark.parametrize("change", [-1, 1])
def test_counts_that_are_not_those_of_the_mask_are_refused(change: int) -> None:
    term, _ = make((401, 501), 0.3, 8)
    fields, payload = term.save()
    counts = np.frombuffer(payload[:16], "<u4") + np.array([change, -change, 0, 0])
    moved = Seeded.load(fields, memoryview(counts.astype("<u4").tobytes() + payload[16:]), term.spec)
    with pytest.raises(CheckpointError, match="counts are not those of its mask"):
        moved.rows(0, 401)
    with pytest.raises(CheckpointError, match="counts are not those of its mask"):
        moved.rows(120, 140)
