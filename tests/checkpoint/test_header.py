"""The header parser against a corpus of bad files; each must be refused, quickly, with its fault named."""

from __future__ import annotations

import json
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.checkpoint.header import MAX_HEADER, parse_header, read_header
from deltakit.errors import CheckpointError, DeltakitError, UnsafeError
from deltakit.tensors import ITEMSIZE, TensorSpec
from support.models import pack, random_tensors, raw_file


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def test_a_good_file_is_read(tmp_path: Path) -> None:
    tensors = random_tensors({"b": TensorSpec((2, 3), "BF16"), "a": TensorSpec((), "I64"), "e": TensorSpec((0,), "U8")})
    path = tmp_path / "x.safetensors"
    path.write_bytes(pack(tensors, {"format": "pt"}))
    header = read_header(path)
    assert list(header.tensors) == ["a", "b", "e"]
    assert header.metadata == {"format": "pt"}
    place = header.tensors["b"]
    assert path.read_bytes()[place.start : place.end] == tensors["b"][1]


BAD_HEADERS: list[tuple[str, Any, bytes, str]] = [
    ("hole", {"a": entry(offsets=(4, 12))}, bytes(12), "hole of 4 bytes before tensor 'a'"),
    ("overlap", {"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12), "'a' and 'b' overlap by 4 bytes"),
    ("same place", {"a": entry(), "b": entry()}, bytes(8), "overlap by 8 bytes"),
    ("trailing", {"a": entry()}, bytes(9), "1 trailing bytes"),
    ("short", {"a": entry()}, bytes(7), "truncated: expected"),
    ("no data", {"a": entry()}, b"", "truncated: expected"),
    ("dtype", {"a": entry("F4")}, bytes(8), "dtype 'F4' is not supported"),
    ("dtype kind", {"a": entry(["F32"])}, bytes(8), "is not supported"),
    ("negative", {"a": entry(shape=(-2,))}, bytes(8), "natural numbers"),
    ("float dim", {"a": entry(shape=(2.0,))}, bytes(8), "natural numbers"),
    ("bool dim", {"a": entry("U8", [True], [0, 1])}, bytes(1), "natural numbers"),
    ("string dim", {"a": entry(shape=["2"])}, bytes(8), "natural numbers"),
    ("no list", {"a": entry(shape=2)}, bytes(8), "natural numbers"),
    ("huge dim", {"a": entry(shape=(2**63,))}, bytes(8), "natural numbers"),
    ("product", {"a": entry(shape=(2**40, 2**40))}, bytes(8), "overflows"),
    ("wraps to 8", {"a": entry(shape=(2**62 + 2,))}, bytes(8), "overflows"),
    ("zero times huge", {"a": entry(shape=(0, 2**62), offsets=(0, 0))}, b"", "overflows"),
    ("rank", {"a": entry(shape=[1] * 9, offsets=(0, 4))}, bytes(4), "at most 8"),
    ("size", {"a": entry(shape=(3,))}, bytes(8), "takes 12 bytes, its data_offsets give 8"),
    ("backwards", {"a": entry(offsets=(8, 0))}, bytes(8), "in order"),
    ("negative offset", {"a": entry(offsets=(-8, 0))}, bytes(8), "natural numbers in order"),
    ("three offsets", {"a": entry(offsets=(0, 4, 8))}, bytes(8), "two natural numbers"),
    ("extra key", {"a": entry(more=1)}, bytes(8), "expected exactly dtype"),
    ("missing key", {"a": {"dtype": "F32"}}, bytes(8), "expected exactly dtype"),
    ("no entry", {"a": 3}, bytes(8), "expected exactly dtype"),
    ("list", [1, 2], b"", "not a JSON object"),
    ("metadata", {"__metadata__": {"a": 1}}, b"", "strings to strings"),
    ("surrogate", b'{"\\ud800": {"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', bytes(1), "Unicode"),
    ("leading space", b' {"a": 1}', b"", "not a JSON object"),
    ("not json", b"{'a': 1}", b"", "not JSON"),
    ("not utf-8", b'{"\xff": 1}', b"", "not UTF-8"),
    ("deep", b'{"a":' + b"[" * 20_000, b"", "nested too deeply"),
    ("bom", b"\xef\xbb\xbf{}", b"", "JSON"),
    (
        "duplicate",
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        bytes(1),
        "'a' appears 2 times",
    ),
    (
        "duplicate key inside",
        b'{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
        bytes(1),
        "'dtype' appears 2 times",
    ),
]


@pytest.mark.parametrize(("header", "data", "said"), [b[1:] for b in BAD_HEADERS], ids=[b[0] for b in BAD_HEADERS])
def test_a_bad_header_is_refused_with_its_fault(tmp_path: Path, header: Any, data: bytes, said: str) -> None:
    path = raw_file(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(CheckpointError) as caught:
        read_header(path)
    assert said in str(caught.value)
    assert str(path) in caught.value.message
    assert caught.value.exit_code == 3


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    path = raw_file(tmp_path / "bad.safetensors", {"a": entry("X"), "b": entry(shape=(-1,)), "c": entry()}, bytes(8))
    with pytest.raises(CheckpointError) as caught:
        read_header(path)
    assert len(caught.value.details) == 2


def test_a_tensor_inside_another_is_one_problem(tmp_path: Path) -> None:
    header = {"a": entry(shape=(4,), offsets=(0, 16)), "b": entry("U8", (2,), (4, 6)), "c": entry(offsets=(16, 24))}
    with pytest.raises(CheckpointError) as caught:
        read_header(raw_file(tmp_path / "bad.safetensors", header, bytes(24)))
    assert caught.value.details == ("tensors 'a' and 'b' overlap by 12 bytes",)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 20, -1])
def test_a_truncated_file_says_expected_and_found(tmp_path: Path, keep: int) -> None:
    whole = pack(random_tensors({"a": TensorSpec((100,), "F32")}))
    path = tmp_path / "cut.safetensors"
    path.write_bytes(whole[:keep])
    size = len(whole[:keep])
    with pytest.raises(CheckpointError, match="expected") as caught:
        read_header(path)
    assert str(size) in str(caught.value)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, MAX_HEADER + 1, 10_000, 2**32])
def test_a_lying_header_length_costs_nothing(tmp_path: Path, length: int) -> None:
    path = raw_file(tmp_path / "liar.safetensors", b"{}", b"", length=length)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(CheckpointError):
        read_header(path)
    assert time.perf_counter() - begin < 0.1
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_header_of_a_million_braces_is_refused_before_parsing(tmp_path: Path) -> None:
    text = b'{"a":[' + b"{}," * 2_100_000 + b"{}]}"
    path = raw_file(tmp_path / "bomb.safetensors", text)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="more than 1000000 tensors"):
        read_header(path)
    assert tracemalloc.get_traced_memory()[1] < 3 * len(text)
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"\n\n  <html lang='en'>", "HTML"),
        (b"GGUF\x03\x00\x00\x00\x10\x00", "GGUF"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_header(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04aaaaaaaaaaaa", b"\x80\x02}q\x00(X\x05\x00\x00\x00", b"\x80\x04\x95aaaaaa"]
)
def test_a_pickle_under_a_safetensors_name_is_unsafe(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(UnsafeError, match="never loaded"):
        read_header(path)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_it_fail_otherwise(raw: bytes) -> None:
    with suppress(DeltakitError):
        assert parse_header(raw, 8 + len(raw), "f").data_start == 8 + len(raw)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda n: n != "__metadata__")
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(st.dictionaries(NAMES, st.builds(TensorSpec, SHAPES, st.sampled_from(sorted(ITEMSIZE))), max_size=6))
def test_whatever_is_packed_is_read_back(specs: dict[str, TensorSpec]) -> None:
    whole = pack(random_tensors(specs))
    length = int.from_bytes(whole[:8], "little")
    header = parse_header(whole[8 : 8 + length], len(whole), "f")
    assert {n: place.spec for n, place in header.tensors.items()} == specs


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_one_changed_header_byte_is_refused_or_means_another_true_file(at: int, value: int) -> None:
    specs = {"a": TensorSpec((2, 3), "BF16"), "b": TensorSpec((4,), "F32")}
    whole = pack(random_tensors(specs))
    length = int.from_bytes(whole[:8], "little")
    text = bytearray(whole[8 : 8 + length])
    text[at % length] = value
    try:
        header = parse_header(bytes(text), len(whole), "f")
    except DeltakitError:
        return
    assert sum(place.spec.nbytes for place in header.tensors.values()) == len(whole) - 8 - length
    assert json.loads(text)


def test_text_with_line_ends_is_told_as_text(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("slices:\n- sources:\n")
    with pytest.raises(CheckpointError, match="begins with 'slices:"):
        read_header(tmp_path / "model.safetensors")
