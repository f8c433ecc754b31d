"""Specs, views and the only two float conversions; torch is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import MismatchError, RecipeError
from deltakit.tensors import (
    FLOAT_DTYPES,
    ITEMSIZE,
    Mapped,
    TensorMap,
    TensorSpec,
    as_bytes,
    cast,
    cast_bytes,
    dtype_code,
    from_float32,
    numpy_bits,
    read,
    rename,
    rounded,
    row_blocks,
    select,
    to_float32,
    torch_dtype,
)
from support.models import random_tensors
from support.tensors import memory, whole

BITS32 = st.integers(0, 2**32 - 1)
HALVES = ["BF16", "F16"]


def test_a_spec_counts() -> None:
    spec = TensorSpec((4, 3, 2), "BF16")
    assert (spec.rows, spec.row_size, spec.numel, spec.itemsize, spec.nbytes) == (4, 6, 24, 2, 48)
    assert spec.with_rows(2) == TensorSpec((2, 3, 2), "BF16")
    scalar = TensorSpec((), "F32")
    assert (scalar.rows, scalar.row_size, scalar.numel, scalar.nbytes) == (1, 1, 1, 4)
    assert scalar.with_rows(1) == scalar
    assert spec.is_float
    assert not TensorSpec((1,), "I32").is_float
    assert not TensorSpec((1,), "F8_E4M3").is_float


@pytest.mark.parametrize("dtype", HALVES)
def test_every_half_precision_pattern_widens_as_in_torch(dtype: str) -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    ours = to_float32(bits.tobytes(), dtype)
    theirs = torch.from_numpy(bits.view(np.int16)).view(torch_dtype(dtype)).float().numpy()
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert np.array_equal(np.signbit(ours), np.signbit(theirs))


@pytest.mark.parametrize("dtype", HALVES)
def test_every_half_precision_pattern_comes_back(dtype: str) -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    values = to_float32(bits.tobytes(), dtype)
    back = from_float32(values, dtype).view(np.uint16)
    nan = np.isnan(values)
    assert np.array_equal(back[~nan], bits[~nan])
    assert np.isnan(to_float32(back.tobytes(), dtype)[nan]).all()


@pytest.mark.parametrize("dtype", HALVES)
@given(st.lists(BITS32, min_size=1, max_size=50))
def test_rounding_is_torchs(dtype: str, patterns: list[int]) -> None:
    values = np.array(patterns, np.uint32).view(np.float32)
    ours = to_float32(from_float32(values, dtype).tobytes(), dtype)
    assert np.array_equal(rounded(values[::2, None], dtype), ours[::2, None], equal_nan=True)
    theirs = torch.from_numpy(values.copy()).to(torch_dtype(dtype)).float().numpy()
    assert np.array_equal(ours, theirs, equal_nan=True)


def test_ties_go_to_even_and_too_much_to_infinity() -> None:
    halfway = np.array([1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, -3.4e38], np.float32)
    assert to_float32(from_float32(halfway, "BF16").tobytes(), "BF16").tolist() == [1.0, 1 + 2**-6, np.inf, -np.inf]
    assert to_float32(from_float32(np.array([65520, 65519], np.float32), "F16").tobytes(), "F16").tolist() == [
        np.inf,
        65504,
    ]


@given(st.lists(BITS32, max_size=20))
def test_float32_passes_bit_for_bit(patterns: list[int]) -> None:
    raw = np.array(patterns, np.uint32).tobytes()
    assert from_float32(to_float32(raw, "F32"), "F32").tobytes() == raw
    assert bytes(cast_bytes(raw, "F32", "F32")) == raw


@pytest.mark.parametrize("to", FLOAT_DTYPES)
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_recoding_is_torchs(dtype: str, to: str) -> None:
    spec = TensorSpec((500,), dtype)
    raw = random_tensors({"t": spec}, seed=5)["t"][1]
    theirs = torch.frombuffer(bytearray(raw), dtype=torch_dtype(dtype)).to(torch_dtype(to))
    ours = torch.frombuffer(bytearray(cast_bytes(raw, dtype, to)), dtype=torch_dtype(to))
    assert torch.equal(ours, theirs)
    assert cast_bytes(b"", dtype, to).nbytes == 0


@pytest.mark.parametrize("to", ["BF16", "F16", "F32"])
def test_a_double_too_large_becomes_infinite_without_a_warning(to: str) -> None:
    raw = np.array([1e300, -1e300, np.nan]).tobytes()
    values = to_float32(cast_bytes(raw, "F64", to), to)
    assert values[:2].tolist() == [np.inf, -np.inf]
    assert np.isnan(values[2])


@pytest.mark.parametrize("dtype", [d for d in ITEMSIZE if d not in FLOAT_DTYPES])
def test_integers_have_no_float_arithmetic(dtype: str) -> None:
    with pytest.raises(MismatchError, match="no float arithmetic"):
        to_float32(b"\0" * 8, dtype)


@pytest.mark.parametrize("code", ITEMSIZE)
def test_sizes(code: str) -> None:
    assert numpy_bits(code).itemsize == ITEMSIZE[code]
    assert dtype_code(code) == code
    if code not in ("F8_E4M3", "F8_E5M2", "U16", "U32", "U64"):
        assert torch_dtype(code).itemsize == ITEMSIZE[code]


@pytest.mark.parametrize(
    ("name", "code"), [("bfloat16", "BF16"), ("torch.float16", "F16"), ("FP32", "F32"), ("half", "F16"), ("int8", "I8")]
)
def test_names_of_dtypes(name: str, code: str) -> None:
    assert dtype_code(name) == code
    with pytest.raises(RecipeError, match="unknown dtype"):
        dtype_code("float17")


@given(st.lists(st.integers(0, 40), max_size=3).map(tuple), st.integers(1, 600))
def test_blocks_cover_the_rows_once_in_order_and_bounded(shape: tuple[int, ...], limit: int) -> None:
    spec = TensorSpec(shape, "F16")
    blocks = list(row_blocks(spec, limit))
    assert [row for lo, hi in blocks for row in range(lo, hi)] == list(range(spec.rows))
    assert all(hi - lo == 1 or (hi - lo) * spec.row_size * 4 <= limit for lo, hi in blocks)


SPECS = {
    "a": TensorSpec((3, 2), "BF16"),
    "b": TensorSpec((4,), "F32"),
    "n": TensorSpec((2,), "I64"),
    "s": TensorSpec((), "F16"),
}


def test_reading_as_torch() -> None:
    tensors = random_tensors(SPECS)
    source = memory(tensors)
    assert isinstance(source, TensorMap)
    for name, (spec, raw) in tensors.items():
        found = read(source, name)
        assert tuple(found.shape) == spec.shape
        assert found.dtype == torch_dtype(spec.dtype)
        assert found.reshape(-1).view(torch.uint8).numpy().tobytes() == raw if spec.shape else True
        found.zero_()  # own memory
    assert whole(source) == {n: raw for n, (_, raw) in tensors.items()}
    assert read(memory({"e": (TensorSpec((0, 3), "F32"), b"")}), "e").shape == (0, 3)


def test_a_map_that_breaks_its_spec_is_an_error() -> None:
    source = Mapped({"a": TensorSpec((2,), "F32")}, lambda name, lo, hi: b"123")
    with pytest.raises(MismatchError, match="its spec says 8"):
        source.buffer("a")
    with pytest.raises(KeyError):
        source.buffer("b")


def test_views() -> None:
    source = memory(random_tensors(SPECS))
    assert list(select(source, lambda n: n > "a").specs) == ["b", "n", "s"]
    renamed = rename(source, lambda n: {"a": "z"}.get(n, n))
    assert list(renamed.specs) == ["b", "n", "s", "z"]
    assert renamed.buffer("z", 1, 2) == source.buffer("a", 1, 2)
    with pytest.raises(MismatchError, match="same name"):
        rename(source, lambda n: "x")


def test_a_cast_view_leaves_integers() -> None:
    source = memory(random_tensors(SPECS))
    view = cast(source, "F32")
    assert {n: s.dtype for n, s in view.specs.items()} == {"a": "F32", "b": "F32", "n": "I64", "s": "F32"}
    assert to_float32(view.buffer("a", 1, 3), "F32").tolist() == to_float32(source.buffer("a", 1, 3), "BF16").tolist()
    assert view.buffer("n") == source.buffer("n")


def test_bytes_of_arrays() -> None:
    array = np.arange(6, dtype="<u2").reshape(2, 3)
    assert as_bytes(array.T) == array.T.tobytes()
    assert as_bytes(np.zeros((0, 3))) == b""


def test_same_compares_names_specs_and_bytes_and_stops_at_the_first_difference():
    from deltakit.tensors import same

    spec = TensorSpec((3, 2), "U8")
    reads = []

    def source(raw, name="w"):
        def pull(n, lo, hi):
            reads.append(n)
            return raw[lo * 2 : hi * 2]

        return Mapped({name: spec, "z": spec}, pull)

    assert same(source(b"abcdef"), source(b"abcdef"))
    reads.clear()
    assert not same(source(b"abcdef"), source(b"abcdeX"))
    assert set(reads) == {"w"}
    assert not same(source(b"abcdef"), source(b"abcdef", "v"))
