"""The delta file: golden bytes, and every way it can be damaged."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest
import zstandard

from deltakit.delta.difference import difference
from deltakit.delta.expression import Entry
from deltakit.delta.file.container import MAGIC, VERSION, is_delta, open_archive, open_delta, pack_header, pack_tensor
from deltakit.delta.file.write import write_delta
from deltakit.errors import CheckpointError, DeltakitError
from deltakit.tensors import TensorSpec
from support.tensors import pair


@pytest.fixture
def file(tmp_path):
    base, tuned = pair()
    return write_delta(tmp_path / "d", difference(base, tuned), plan={}).path


def forged(path, change):
    """The file with its index changed and honestly sealed again."""
    archive = open_archive(path)
    index = json.loads(json.dumps(archive.index))
    body = bytes(archive.data[min(s for s, _ in archive.places.values()) :])
    change(index)
    path.write_bytes(pack_header(index) + body)
    return path


def test_the_header_is_what_the_format_page_says(file):
    raw = file.read_bytes()
    magic, version, zero, packed, size, digest = struct.unpack("<8sIIQQ8s", raw[:40])
    assert (magic, version, zero) == (b"DELTAKIT", 1, 0)
    assert hashlib.blake2b(raw[40 : 40 + packed], digest_size=8).digest() == digest
    index = json.loads(zstandard.ZstdDecompressor().decompress(raw[40 : 40 + packed]))
    assert len(json.dumps(index, sort_keys=True, separators=(",", ":"))) == size
    assert sorted(index) == ["files", "kind", "lineage", "missing", "tensors"]
    assert index["tensors"]["a.weight"]["s"] == [12, 10]


def test_the_same_index_gives_the_same_bytes():
    assert pack_header({"b": 1, "a": [2]}) == pack_header({"a": [2], "b": 1})
    assert pack_header({})[:12] == MAGIC + VERSION.to_bytes(4, "little")


def test_a_tensor_without_parts_has_no_payload():
    item, blob = pack_tensor("a", Entry(TensorSpec((2, 3), "BF16"), 2))
    assert blob == b""
    assert item == {"s": [2, 3], "d": "BF16", "c": item["c"]}


def test_is_delta(file, tmp_path):
    assert is_delta(file)
    assert not is_delta(tmp_path)
    assert not is_delta(tmp_path / "nothing")
    (tmp_path / "other").write_bytes(b"DELTA")
    assert not is_delta(tmp_path / "other")


def test_every_truncation_is_noticed(file):
    raw = file.read_bytes()
    for size in [0, 7, 8, 39, 40, 60, len(raw) // 2, len(raw) - 1]:
        file.write_bytes(raw[:size])
        with pytest.raises(CheckpointError):
            open_delta(file)


def test_a_cut_blob_names_its_tensor(file):
    raw = file.read_bytes()
    file.write_bytes(raw[:-1])
    with pytest.raises(CheckpointError, match="embed.weight"):
        open_delta(file)


def test_bytes_behind_the_end_are_noticed(file):
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match="behind its end"):
        open_delta(file)


def test_a_flipped_bit_is_found_when_its_tensor_is_used(file):
    start, stop = open_archive(file).places["a.weight"]
    raw = bytearray(file.read_bytes())
    raw[(start + stop) // 2] ^= 1
    file.write_bytes(bytes(raw))
    delta = open_delta(file)
    assert delta.entries["embed.weight"].parts
    with pytest.raises(CheckpointError, match="'a.weight' is damaged"):
        delta.entries["a.weight"]


def test_a_flipped_bit_in_the_index_is_found_at_once(file):
    raw = bytearray(file.read_bytes())
    raw[50] ^= 1
    file.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match="index is damaged"):
        open_delta(file)


def test_a_future_version_says_so(file):
    raw = bytearray(file.read_bytes())
    raw[8] = 9
    file.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match="format 9"):
        open_delta(file)


def test_an_index_bomb_is_refused_before_it_is_unpacked(file):
    raw = bytearray(file.read_bytes())
    raw[24:32] = (1 << 40).to_bytes(8, "little")
    file.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match="too large"):
        open_delta(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i["tensors"]["a.weight"].update(s=[10**12, 10**6]),
        lambda i: i["tensors"]["a.weight"].update(s=[-1, 10]),
        lambda i: i["tensors"]["a.weight"].update(d="F99"),
        lambda i: i["tensors"]["a.weight"]["p"][0].__setitem__(1, "nonsense"),
        lambda i: i["tensors"]["a.weight"]["p"][0].__setitem__(1, "sparse"),
        lambda i: (
            i["tensors"]["a.weight"]["p"][0].__setitem__(2, {"t": "F32"})
            or i["tensors"]["a.weight"]["p"][0].__setitem__(1, "dense")
        ),
    ],
)
def test_an_index_that_lies_about_a_tensor_is_refused(file, change):
    with pytest.raises(DeltakitError):
        open_delta(forged(file, change)).entries["a.weight"]


def test_an_index_without_its_fields_is_refused(file):
    for change in (lambda i: i.pop("tensors"), lambda i: i["tensors"]["a.weight"].pop("s")):
        raw = file.read_bytes()
        with pytest.raises(CheckpointError, match="malformed"):
            open_delta(forged(file, change))
        file.write_bytes(raw)


def test_a_damaged_file_inside(tmp_path):
    from deltakit.checkpoint.sidecar import Sidecar
    from deltakit.delta.expression import Delta

    path = write_delta(tmp_path / "d", Delta({}, sidecar=Sidecar({"LICENSE": b"MIT " * 50})), plan={}).path
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match="LICENSE"):
        open_delta(path)


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such"):
        open_delta(tmp_path / "nothing")
