"""Verify reads every byte of a delta and lists all that is damaged; in full it decodes every number too."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.file.container import open_archive
from deltakit.delta.file.verify import verify_delta
from deltakit.delta.file.write import write_delta
from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.lowrank import LowRank
from deltakit.errors import VerificationError
from deltakit.tensors import TensorSpec
from support.tensors import normal, pair


@pytest.fixture
def file(tmp_path):
    return write_delta(tmp_path / "d", difference(*pair()), plan={}).path


def flip(path, *at):
    raw = bytearray(path.read_bytes())
    for place in at:
        raw[place] ^= 1
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("full", [False, True])
def test_a_sound_file(file, full):
    found = verify_delta(file, full=full)
    assert (found.tensors, found.nbytes) == (3, file.stat().st_size)
    assert found.sha256 == (hashlib.sha256(file.read_bytes()).hexdigest() if full else "")


def test_all_damaged_tensors_are_named(file):
    places = open_archive(file).places
    flip(file, places["a.weight"][0], places["embed.weight"][0])
    with pytest.raises(VerificationError) as wrong:
        verify_delta(file)
    assert ["a.weight" in d or "embed.weight" in d for d in wrong.value.details] == [True, True]


def test_all_damaged_files_are_named(tmp_path):
    files = {"LICENSE": b"MIT " * 50, "NOTICE": b"none " * 50, "config.json": b"{}"}
    path = write_delta(tmp_path / "d", Delta({}, sidecar=Sidecar(files)), plan={}).path
    places = open_archive(path).files
    flip(path, places["LICENSE"][1] - 1, places["NOTICE"][0])
    with pytest.raises(VerificationError) as wrong:
        verify_delta(path)
    assert [("LICENSE" in d, "NOTICE" in d) for d in wrong.value.details] == [(True, False), (False, True)]


def test_a_broken_header_is_damage_too(file):
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(VerificationError):
        verify_delta(file)


def stored(tmp_path, term):
    delta = Delta({"w": Entry(term.spec, term.spec.rows, (Part(1.0, term),))})
    return write_delta(tmp_path / "d", delta, plan={}).path


def test_in_full_numbers_that_are_not_finite_are_found(tmp_path):
    values = normal((4, 3), 1)
    values[1, 2] = np.nan
    path = stored(tmp_path, Dense.of(lambda lo, hi: values[lo:hi], TensorSpec((4, 3), "F32")))
    verify_delta(path)
    with pytest.raises(VerificationError, match="'w': 1 of 12 numbers"):
        verify_delta(path, full=True)


def test_in_full_planes_that_do_not_unpack_are_found(tmp_path):
    values = np.full((64, 64), 0.5, np.float32)
    good = Dense.of(lambda lo, hi: values[lo:hi], TensorSpec((64, 64), "F32"))
    broken = bytearray(good.payload)
    broken[-1] ^= 0xFF  # within a frame, before the checksum is taken
    path = stored(tmp_path, Dense(good.spec, memoryview(broken)))
    verify_delta(path)
    with pytest.raises(VerificationError, match="tensor 'w': a compressed plane"):
        verify_delta(path, full=True)


def test_in_full_factors_are_decoded(tmp_path):
    path = stored(tmp_path, LowRank.of(TensorSpec((6, 5), "BF16"), normal((6, 2), 1), normal((5, 2), 2)))
    assert verify_delta(path, full=True).tensors == 1


def test_every_single_flipped_bit_of_a_file_is_found(tmp_path):
    """Header, index, blobs and files: one bit in every byte, each in its turn."""
    delta = replace(difference(*pair()), sidecar=Sidecar({"LICENSE": b"MIT"}))
    path = write_delta(tmp_path / "d", delta, plan={}).path
    raw = path.read_bytes()
    for at in range(len(raw)):
        broken = bytearray(raw)
        broken[at] ^= 1 << at % 8
        path.write_bytes(bytes(broken))
        with pytest.raises(VerificationError):
            verify_delta(path)


def test_damage_is_named_in_every_tensor_and_nothing_else(tmp_path):
    path = write_delta(tmp_path / "d", difference(*pair()), plan={}).path
    raw, places = path.read_bytes(), open_archive(path).places
    for name, (start, stop) in places.items():
        for at in {start, (start + stop) // 2, stop - 1} if stop > start else ():
            path.write_bytes(raw)
            flip(path, at)
            with pytest.raises(VerificationError) as wrong:
                verify_delta(path)
            assert [repr(name) in d for d in wrong.value.details] == [True]
