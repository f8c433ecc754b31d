"""The index: everything that it may lie about is refused by name before anything of that size is allocated."""

from __future__ import annotations

import json

import pytest
import zstandard

from deltakit.delta.file import index as module
from deltakit.delta.file.index import MAX_FILE, lay_out, parse_index, unframe
from deltakit.errors import CheckpointError
from support.memory import peak_below

CHECK = "0" * 16


def item(**changes):
    made = {"s": [4, 3], "d": "BF16", "p": [[1.0, "exact", {}, 24]], "c": CHECK, **changes}
    return {k: v for k, v in made.items() if v is not None}


def index(**changes):
    return {"kind": "delta", "lineage": {}, "missing": [], "tensors": {"w": item()}, **changes}


def parsed(made):
    return parse_index(json.dumps(made).encode())


def test_a_sound_index():
    made = index(files={"LICENSE": [10, 100, CHECK], "NOTICE": [5, 7, CHECK]})
    made["tensors"] |= {"a": item(p=None), "z": item(h=1, a=["raw", {}, 6]), "n": item(s=[], p=None)}
    found = lay_out(parsed(made), 100)
    assert found.places == {"a": (100, 100), "n": (100, 100), "w": (100, 124), "z": (124, 154)}
    assert found.files == {"LICENSE": (154, 164), "NOTICE": (164, 169)}
    assert found.size == 169
    assert found.specs["w"].shape == (4, 3)


def test_unknown_keys_of_the_index_are_for_later():
    assert lay_out(parsed(index(later={"x": [1]})), 0).size == 24


LIES = {
    "a shape beyond all memory": item(s=[2**40, 2**20]),
    "a shape with a huge side and none": item(s=[0, 2**50]),
    "a negative side": item(s=[-1, 10]),
    "nine dimensions": item(s=[1] * 9),
    "a side that is no integer": item(s=[1.5]),
    "a side that is true": item(s=[True]),
    "a shape that is a text": item(s="44"),
    "no shape": item(s=None),
    "an unknown dtype": item(d="F99"),
    "a dtype that is a list": item(d=["BF16"]),
    "more shared rows than rows": item(h=5),
    "negative shared rows": item(h=-1),
    "added rows without values": item(h=2),
    "no checksum": item(c=None),
    "a checksum that is none": item(c="zz"),
    "a checksum that is a number": item(c=7),
    "terms that are no list": item(p={"a": 1}),
    "a term that is too short": item(p=[[1.0, "exact"]]),
    "a term that is a number": item(p=[1]),
    "a negative size": item(p=[[1.0, "exact", {}, -24]]),
    "a size beyond 63 bits": item(p=[[1.0, "exact", {}, 2**63]]),
    "a size that is no integer": item(p=[[1.0, "exact", {}, 24.0]]),
    "a kind that is no text": item(p=[[1.0, 3, {}, 24]]),
    "fields that are no object": item(p=[[1.0, "exact", [], 24]]),
    "a coefficient that is a text": item(p=[["1", "exact", {}, 24]]),
    "a coefficient that is true": item(p=[[True, "exact", {}, 24]]),
    "an unknown key": item(q=1),
    "an item that is a list": [1],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_a_tensor_is_refused_at_once_and_by_name(lie):
    with peak_below(1 << 20), pytest.raises(CheckpointError, match=r"malformed[^$]*tensor 'w'"):
        lay_out(parsed(index(tensors={"a": item(), "w": LIES[lie]})), 0)


def test_all_lies_are_listed_at_once():
    with pytest.raises(CheckpointError) as wrong:
        lay_out(parsed(index(tensors={"a": item(s=[-1]), "b": item(), "c": item(d="X")}, files={"../x": 1})), 0)
    assert [d.split(":")[0] for d in wrong.value.details] == ["tensor 'a'", "tensor 'c'", "file '../x'"]


@pytest.mark.parametrize("name", ["../config.json", "a/b", "a\\b", ".hidden", "..", "", "a\0b", "x" * 256])
def test_files_inside_have_plain_names(name):
    with pytest.raises(CheckpointError, match="plain file name"):
        lay_out(parsed(index(files={name: [1, 1, CHECK]})), 0)


@pytest.mark.parametrize("stored", [[-1, 1, CHECK], [1, MAX_FILE + 1, CHECK], [1, -1, CHECK], [1, 1, ""], [1, 1], 7])
def test_a_lie_about_a_file_inside(stored):
    with pytest.raises(CheckpointError, match="file 'LICENSE'"):
        lay_out(parsed(index(files={"LICENSE": stored})), 0)


@pytest.mark.parametrize(
    "rest",
    [
        {"missing": "w"}, {"missing": [1]}, {"lineage": []}, {"lineage": {"base": 1}}, {"lineage": {"note": "x"}},
        {"sum": {}}, {"sum": [{"coef": "1", "of": "x"}]}, {"sum": [{"coef": 1.0}]}, {"tensors": []}, {"files": []},
    ],
)  # fmt: skip
def test_a_lie_about_the_rest(rest):
    with pytest.raises(CheckpointError, match="malformed"):
        lay_out(parsed(index(**rest)), 0)


@pytest.mark.parametrize("name", ["", "x" * 5000])
def test_names_have_a_length(name):
    with pytest.raises(CheckpointError, match="its name"):
        lay_out(parsed(index(tensors={name: item()})), 0)


TEXTS = {
    "duplicate keys": (b'{"kind":"delta","kind":"delta","tensors":{}}', "duplicate keys: .'kind'"),
    "duplicate tensors": (b'{"kind":"delta","tensors":{"w":{},"w":{}}}', "duplicate keys"),
    "NaN": (b'{"kind":"delta","tensors":{"w":{"p":[[NaN,"exact",{},1]]}}}', "NaN is not a finite"),
    "infinity": (b'{"kind":"delta","tensors":{"w":{"p":[[-Infinity,"exact",{},1]]}}}', "not a finite"),
    "infinity in disguise": (b'{"kind":"delta","x":1e999}', "1e999 is not a finite"),
    "an integer beyond all sizes": (b'{"kind":"delta","x":' + b"9" * 5000 + b"}", "5000 digits"),
    "deep lists": (b'{"kind":"delta","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
    "deep objects": (b'{"a":' * 40 + b"1" + b"}" * 40, "nested deeper"),
    "not UTF-8": (b'{"kind":"\xff"}', "cannot be read"),
    "not JSON": (b'{"kind":"delta"', "cannot be read"),
    "a list": (b"[]", "not of kind"),
    "of another kind": (b'{"kind":"model","tensors":{}}', "not of kind"),
    "nothing": (b"", "cannot be read"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_no_honest_writer_makes_is_refused(text):
    raw, says = TEXTS[text]
    with pytest.raises(CheckpointError, match=says):
        parse_index(raw)


def test_brackets_in_names_are_no_nesting():
    name = "[{" * 40 + '\\"' + "[" * 40
    assert parsed({"kind": "delta", "x": {name: [[name]]}})["x"] == {name: [[name]]}


def test_millions_of_values_are_refused_before_they_are_made():
    text = b'{"kind":"delta","x":[' + b"[]," * (9 << 20) + b"[]]}"
    with peak_below(4 * len(text)), pytest.raises(CheckpointError, match="more than 16,777,216 values"):
        parse_index(text)


def test_too_many_tensors_are_refused(monkeypatch):
    assert module._MAX_TENSORS == 1 << 20
    monkeypatch.setattr(module, "_MAX_TENSORS", 1000)
    text = b'{"kind":"delta","tensors":{' + b",".join(b'"%d":0' % i for i in range(1001)) + b"}}"
    with pytest.raises(CheckpointError, match="at most 1,000 tensors"):
        lay_out(parse_index(text), 0)


def test_a_frame_gives_what_it_says_or_nothing():
    packed = zstandard.ZstdCompressor().compress(b"abc" * 100)
    assert unframe(packed, 300) == b"abc" * 100
    assert unframe(memoryview(packed), 300) == b"abc" * 100
    for wrong in (packed[:-1], packed + b"x", packed + packed, packed[:3], b"", b"nonsense"):
        with pytest.raises(CheckpointError, match="compressed frame"):
            unframe(wrong, 300)


def test_a_frame_bomb_is_not_unpacked():
    packed = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    with peak_below(1 << 16), pytest.raises(CheckpointError, match="67108864 bytes should have 5"):
        unframe(packed, 5)


def test_a_frame_without_its_size_is_refused():
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(b"abc" * 100)
    with pytest.raises(CheckpointError, match="compressed frame"):
        unframe(packed, 300)
