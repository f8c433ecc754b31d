"""The delta file: golden bytes, and every way it can be damaged."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import zstandard

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.file.container import MAGIC, VERSION, is_delta, open_archive, open_delta, pack_header, pack_tensor
from deltakit.delta.file.write import write_delta
from deltakit.delta.terms.dense import Dense
from deltakit.errors import CheckpointError, DeltakitError
from deltakit.tensors import TensorSpec
from support.memory import peak_below
from support.tensors import normal, pair


@pytest.fixture
def file(tmp_path):
    base, tuned = pair()
    return write_delta(tmp_path / "d", difference(base, tuned), plan={}).path


@pytest.fixture
def full_file(tmp_path):
    """Tensors with and without terms, and files inside."""
    files = Sidecar({"LICENSE": b"MIT " * 50, "chat_template.jinja": b"{{ x }}", "tokenizer.json": b"{}"})
    delta = replace(difference(*pair()), sidecar=files)
    return write_delta(tmp_path / "full", delta, plan={}).path


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
    item, blob = pack_tensor(Entry(TensorSpec((2, 3), "BF16"), 2))
    assert blob == b""
    assert item == {"s": [2, 3], "d": "BF16", "c": item["c"]}


def test_is_delta(file, tmp_path):
    assert is_delta(file)
    assert not is_delta(tmp_path)
    assert not is_delta(tmp_path / "nothing")
    (tmp_path / "other").write_bytes(b"DELTA")
    assert not is_delta(tmp_path / "other")


def test_every_truncation_is_noticed(full_file):
    """At every boundary between sections (header fields, index, each blob, each file inside), one byte before and
    behind it."""
    raw, archive = full_file.read_bytes(), open_archive(full_file)
    assert len(archive.files) == 3
    bounds = {0, 8, 12, 16, 24, 32, 40, *sum([*archive.places.values(), *archive.files.values()], ())}
    assert max(bounds) == len(raw)
    for size in sorted({b + d for b in bounds for d in (-1, 0, 1)} - {-1, len(raw)}):
        full_file.write_bytes(raw[:size] + b"x" * (size - len(raw)))
        with pytest.raises(CheckpointError):
            open_delta(full_file)


def test_a_truncation_names_what_is_cut(full_file):
    raw, archive = full_file.read_bytes(), open_archive(full_file)
    for name, (start, stop) in {**archive.places, **archive.files}.items():
        if stop > start:
            full_file.write_bytes(raw[: stop - 1])
            with pytest.raises(CheckpointError, match=f"cut is {name!r}"):
                open_delta(full_file)


def test_blobs_lie_without_gaps(full_file):
    raw, archive = full_file.read_bytes(), open_archive(full_file)
    places = [*archive.places.values(), *archive.files.values()]
    assert [start for start, _ in places[1:]] == [stop for _, stop in places[:-1]]
    assert places[0][0] == 40 + int.from_bytes(raw[16:24], "little")


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


@pytest.mark.parametrize(("at", "says"), [(8, "format 9, this deltakit reads 1"), (12, "format 1.9")])
def test_a_future_version_says_so(file, at, says):
    raw = bytearray(file.read_bytes())
    raw[at] = 9
    file.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match=says) as wrong:
        open_delta(file)
    assert "update deltakit" in str(wrong.value)


def test_an_index_bomb_is_refused_before_it_is_unpacked(file):
    raw = bytearray(file.read_bytes())
    raw[24:32] = (1 << 40).to_bytes(8, "little")
    file.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match="too large"):
        open_delta(file)


def test_an_index_that_inflates_to_more_than_the_header_says(file):
    packed = zstandard.ZstdCompressor().compress(b" " * (1 << 24))
    digest = hashlib.blake2b(packed, digest_size=8).digest()
    file.write_bytes(struct.pack("<8sIIQQ8s", MAGIC, 1, 0, len(packed), 100, digest) + packed)
    with peak_below(1 << 20), pytest.raises(CheckpointError, match="16777216 bytes should have 100"):
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


def test_a_damaged_file_inside_harms_nothing_else(full_file):
    start, _ = open_archive(full_file).files["LICENSE"]
    raw = bytearray(full_file.read_bytes())
    raw[start] ^= 1
    full_file.write_bytes(bytes(raw))
    delta = open_delta(full_file)
    assert delta.entries["a.weight"].parts
    assert delta.sidecar.files["tokenizer.json"] == b"{}"
    with pytest.raises(CheckpointError, match="'LICENSE' inside is damaged"):
        delta.sidecar.files["LICENSE"]


def test_a_file_inside_that_inflates_to_more_than_it_says(full_file):
    archive = open_archive(full_file)
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 24))
    body = bytes(archive.data[min(s for s, _ in archive.places.values()) : archive.files["LICENSE"][0]])
    index = json.loads(json.dumps(archive.index))
    index["files"] = {"LICENSE": [len(bomb), 200, checksum(bomb)]}
    full_file.write_bytes(pack_header(index) + body + bomb)
    with peak_below(1 << 20), pytest.raises(CheckpointError, match="'LICENSE' inside: a compressed frame of 16777216"):
        open_delta(full_file).sidecar.files["LICENSE"]


def test_only_what_is_asked_for_is_read(full_file):
    """Specs come from the index alone; one tensor touches no other, one range decodes no other."""
    raw, places = bytearray(full_file.read_bytes()), open_archive(full_file).places
    raw[places["embed.weight"][0]] ^= 1
    full_file.write_bytes(bytes(raw))
    delta = open_delta(full_file).bind(pair()[0])
    assert sorted(delta.specs) == ["a.weight", "embed.weight", "norm.weight"]
    assert delta.rows("a.weight", 3, 5).shape == (2, 10)


def test_one_range_of_rows_decodes_no_other(tmp_path):
    spec = TensorSpec((8 * 4096, 256), "F32")
    tile = normal((4096, 256), 1)
    term = Dense.of(lambda lo, hi: tile[np.arange(lo, hi) % 4096], spec)
    delta = Delta({"w": Entry(spec, spec.rows, (Part(1.0, term),))})
    path = write_delta(tmp_path / "d", delta, plan={}).path
    with peak_below(spec.nbytes // 8):
        assert (open_delta(path).rows("w", 9000, 9003) == tile[9000 % 4096 : 9000 % 4096 + 3]).all()


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such"):
        open_delta(tmp_path / "nothing")


def test_the_index_of_thousands_of_experts(tmp_path):
    items = {f"layers.{i // 384}.experts.{i % 384}.up_proj.weight": {"s": [9, 9], "d": "BF16"} for i in range(30_000)}
    tensors = {n: {**item, "c": checksum(n.encode())} for n, item in items.items()}
    raw = pack_header({"kind": "delta", "tensors": tensors})
    assert raw == pack_header({"kind": "delta", "tensors": tensors})
    (tmp_path / "d").write_bytes(raw)
    assert len(open_archive(tmp_path / "d").specs) == 30_000
