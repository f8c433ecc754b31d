"""Sums in bfloat16 against numpy: every base pattern, differences of all sizes, zeros of both signs, NaN."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta import applied
from deltakit.delta.applied import Applied
from deltakit.delta.coding.kernels.added import add16
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.terms.dense import Dense
from deltakit.errors import MismatchError
from deltakit.tensors import Mapped, TensorSpec, from_float32, to_float32

PATTERNS = np.arange(1 << 16, dtype="<u2")


def sums(rows: np.ndarray) -> np.ndarray:
    base = to_float32(PATTERNS, "BF16")
    with np.errstate(over="ignore", invalid="ignore"):
        return from_float32(np.add(base, rows, out=base.copy(), where=rows != 0), "BF16")


@pytest.mark.parametrize("kind", ["near", "zero", "wild"])
def test_every_pattern(kind: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal(1 << 16).astype(np.float32)
    if kind == "near":
        with np.errstate(invalid="ignore", over="ignore"):
            rows = np.nan_to_num(rows * to_float32(PATTERNS, "BF16"), posinf=1, neginf=-1)
    if kind == "zero":
        rows = np.where(rows > 0, np.float32(0), np.float32(-0.0))
    if kind == "wild":
        rows = rng.integers(0, 1 << 32, 1 << 16, dtype=np.uint32).view(np.float32)
    out, raw = np.empty(1 << 16, "<u2"), bytearray(b"\0" + PATTERNS.tobytes())
    add16(out, np.uint64(np.frombuffer(raw, np.uint8).ctypes.data + 1), rows)  # at an odd address
    want = sums(rows)
    nan = np.isnan(to_float32(want, "BF16"))
    np.testing.assert_array_equal(np.isnan(to_float32(out, "BF16")), nan)
    np.testing.assert_array_equal(out[~nan], want[~nan])


def test_large_ranges_of_a_model_have_the_bytes_of_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, rng = TensorSpec((300, 500), "BF16"), np.random.default_rng(1)
    base = from_float32(rng.standard_normal((300, 500)).astype(np.float32), "BF16")
    change = np.where(rng.random((300, 500)) < 0.3, 0, rng.standard_normal((300, 500)) * 0.01).astype(np.float32)
    delta = Delta({"w": Entry(spec, 300, (Part(0.7, Dense.of(lambda lo, hi: change[lo:hi], spec)),))})
    model = Applied(Mapped({"w": spec}, lambda _, lo, hi: base[lo:hi].tobytes()), delta)
    found = bytes(model.buffer("w"))
    monkeypatch.setattr(applied, "_LARGE", 1 << 60)
    assert bytes(model.buffer("w")) == found


def test_a_base_that_gives_too_little_is_refused() -> None:
    class Short(Mapped):
        def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
            return memoryview(bytes(10))

    spec = TensorSpec((300, 500), "BF16")
    delta = Delta(
        {"w": Entry(spec, 300, (Part(1.0, Dense.of(lambda lo, hi: np.ones((hi - lo, 500), np.float32), spec)),))}
    )
    with pytest.raises(MismatchError, match="gives 10 bytes"):
        Applied(Short({"w": spec}, lambda *_: b""), delta).buffer("w")
