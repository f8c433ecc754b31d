"""Every kind of stored term, sealed but lying: refused by name, before memory is taken, and never by a crash."""

from __future__ import annotations

import base64
import copy
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import zstandard

from deltakit.checkpoint.checksum import checksum
from deltakit.delta.applied import Applied
from deltakit.delta.expression import Delta
from deltakit.delta.file.container import open_delta, pack_header
from deltakit.delta.file.inspection import inspect_path
from deltakit.errors import CheckpointError, DeltakitError
from deltakit.tensors import Mapped
from support import goldens
from support.memory import peak_below

CASES = {**goldens.goldens()["terms"], **goldens.goldens()["codecs"]}
SLACK = 1 << 20


def sealed(folder: Path, item, blob: bytes) -> Path:
    """A file of one tensor whose checksums all agree."""
    item = {**item, "c": checksum(blob)}
    path = folder / "forged"
    path.write_bytes(pack_header({"kind": "delta", "tensors": {goldens.NAME: item}, "files": {}}) + blob)
    return path


def stored(label):
    """A golden's item and blob, to be changed."""
    case = copy.deepcopy(CASES[label])
    return case["item"], base64.b64decode(case["blob"])


def use(path: Path, label: str) -> bytes:
    """Decode everything."""
    base = goldens.base_of(CASES[label])
    applied = Applied(base, open_delta(path))
    return bytes(applied.buffer(goldens.NAME)) if applied.specs else b""


@pytest.fixture(autouse=True, scope="module")
def warm():
    """Kernels are compiled and libraries loaded before memory is counted."""
    for case in CASES.values():
        goldens.restored(case)


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("shape", [[1 << 30, 1 << 10], [1 << 10, 1 << 30], [1 << 40], [1 << 13, 1 << 13, 1 << 13]])
def test_a_shape_that_lies_takes_no_memory(label, shape, tmp_path):
    """The shape alone is within the limits; what is stored is not enough for it."""
    item, blob = stored(label)
    if "h" in item:
        pytest.skip("its shared rows would lie, too")
    path = sealed(tmp_path, {**item, "s": shape}, blob)
    with peak_below(SLACK), pytest.raises(CheckpointError, match=f"tensor '{goldens.NAME}'"):
        open_delta(path).entries[goldens.NAME]


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_payload_that_is_one_byte_too_short_or_too_long(label, by, tmp_path):
    for which in range(len(stored(label)[0]["p"])):
        item, blob = stored(label)
        at = sum(p[3] for p in item["p"][: which + 1])
        item["p"][which][3] += by
        path = sealed(tmp_path, item, blob[: at + min(by, 0)] + b"\0" * max(by, 0) + blob[at:])
        with pytest.raises(CheckpointError):
            use(path, label)


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("junk", [None, -1, 0, 2**63, 1.5, "x", [], [[9, 1]], [[2, -1]], [[2, 2**40]], {}])
def test_fields_that_make_no_sense(label, junk, tmp_path):
    """An error, or (where the junk happens to be sound) numbers; nothing else."""
    item, blob = stored(label)
    for part in item["p"]:
        for key in part[2]:
            changed = json.loads(json.dumps(item))
            next(p for p in changed["p"] if p == part)[2][key] = junk
            with peak_below(SLACK), suppress(DeltakitError):
                open_delta(sealed(tmp_path, changed, blob)).entries[goldens.NAME]


@pytest.mark.parametrize("label", CASES)
def test_an_unknown_field_or_none_is_no_crash(label, tmp_path):
    item, blob = stored(label)
    for part in item["p"]:
        part[2] = {}
    with suppress(DeltakitError):
        use(sealed(tmp_path, item, blob), label)


@pytest.mark.parametrize("label", CASES)
def test_random_damage_under_a_true_checksum_is_an_error_or_numbers(label, tmp_path):
    """A forger may seal anything: no other exception, no crash, no output of another size."""
    rng = np.random.default_rng(len(label))
    item, blob = stored(label)
    size = len(base64.b64decode(CASES[label]["tuned"]))
    for _ in range(60):
        broken = bytearray(blob)
        for at in rng.integers(0, len(blob), rng.integers(1, 5)):
            broken[at] = int(rng.integers(0, 256))
        with np.errstate(all="ignore"), suppress(DeltakitError):
            assert len(use(sealed(tmp_path, item, bytes(broken)), label)) == size


@pytest.mark.parametrize("label", CASES)
def test_the_table_in_front_may_say_anything(label, tmp_path):
    """The first words of a payload are often counts: extreme ones, and every place of the first 24 bytes."""
    item, blob = stored(label)
    for at in range(0, min(24, len(blob)), 2):
        for word in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\1\0\0\0"):
            broken = blob[:at] + word + blob[at + 4 :]
            with np.errstate(all="ignore"), peak_below(8 << 20), suppress(DeltakitError):
                use(sealed(tmp_path, item, broken[: len(blob)]), label)


def test_added_rows_that_lie(tmp_path):
    item, blob = stored("raw")
    with peak_below(SLACK), pytest.raises(CheckpointError, match="tensor 'w'"):
        open_delta(sealed(tmp_path, {**item, "s": [1 << 30, 20]}, blob)).entries[goldens.NAME]
    with peak_below(SLACK), pytest.raises(DeltakitError):
        use(sealed(tmp_path, {**item, "h": 3}, blob), "raw")


def test_an_unknown_kind_is_refused_by_name(tmp_path):
    item, blob = stored("exact BF16")
    item["p"][0][1] = "later"
    with pytest.raises(DeltakitError, match="tensor 'w': unknown term 'later'"):
        open_delta(sealed(tmp_path, item, blob)).entries[goldens.NAME]


def test_planes_that_inflate_to_more_than_their_tensor(tmp_path):
    """A zstd frame of 64 MB where 480 bytes belong."""
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    blob = np.array([24, len(bomb), 0], "<u4").tobytes() + bomb
    item = {"s": [24, 20], "d": "BF16", "p": [[1.0, "exact", {}, len(blob)]]}
    with peak_below(SLACK), pytest.raises(CheckpointError, match="another size than its tensor"):
        use(sealed(tmp_path, item, blob), "exact BF16")


def test_a_base_of_another_shape(tmp_path):
    item, blob = stored("sign")
    path = sealed(tmp_path, item, blob)
    other = goldens.memory({goldens.NAME: goldens.tensor(goldens.draw((24, 21), 1))})
    with pytest.raises(DeltakitError, match=r"\[24, 21\], delta \[24, 20\]"):
        Applied(other, open_delta(path))
    assert isinstance(open_delta(path), Delta)


def leaves(value, path=()):
    """Every place in JSON, containers included."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from leaves(value[key], (*path, key))


JUNK = (None, True, -1, 2**63, 1e300, "", "../x", [], {}, [[]], {"a": [1]})


def test_junk_at_every_place_of_an_index(tmp_path):
    """Each value in its turn becomes something else: an error of ours, or a file that is sound."""
    items, blobs = {}, b""
    for label in ("exact BF16", "raw", "rows", "sparse by a key", "svd_mixed, 240 bytes"):
        item, blob = stored(label)
        items[label], blobs = {**item, "c": checksum(blob)}, blobs + blob
    packed = zstandard.ZstdCompressor().compress(b"MIT" * 9)
    lineage = {"base": "sha256:0", "tuned": "sha256:1", "name": "n", "note": {"codec": "sign"}}
    index = {"kind": "delta", "lineage": lineage, "missing": ["gone"], "tensors": items}
    index["files"] = {"LICENSE": [len(packed), 27, checksum(packed)]}
    base = goldens.worlds()[0]
    over = Mapped({n: base.specs[goldens.NAME] for n in items}, lambda n, lo, hi: base.buffer(goldens.NAME, lo, hi))

    def read(changed):
        (tmp_path / "forged").write_bytes(pack_header(changed) + blobs + packed)
        inspect_path(str(tmp_path / "forged"))
        delta = open_delta(tmp_path / "forged")
        dict(delta.sidecar.files)
        applied = Applied(over, delta)
        return {n: len(applied.buffer(n)) for n in applied.specs}

    assert set(read(index).values()) == {960}
    for place in list(leaves(index))[1:]:
        for junk in JUNK:
            changed = json.loads(json.dumps(index))
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = junk
            with np.errstate(all="ignore"), suppress(DeltakitError):
                read(changed)
