"""Verify reads every byte of a delta and lists all that is damaged."""

import pytest

from deltakit.delta.difference import difference
from deltakit.delta.file.container import open_archive
from deltakit.delta.file.verify import verify_delta
from deltakit.delta.file.write import write_delta
from deltakit.errors import VerificationError
from support.tensors import pair


@pytest.fixture
def file(tmp_path):
    return write_delta(tmp_path / "d", difference(*pair()), plan={}).path


def test_a_sound_file(file):
    found = verify_delta(file)
    assert (found.tensors, found.nbytes) == (3, file.stat().st_size)


def test_all_damaged_tensors_are_named(file):
    places = open_archive(file).places
    raw = bytearray(file.read_bytes())
    for name in ("a.weight", "embed.weight"):
        raw[places[name][0]] ^= 1
    file.write_bytes(bytes(raw))
    with pytest.raises(VerificationError) as wrong:
        verify_delta(file)
    assert ["a.weight" in d or "embed.weight" in d for d in wrong.value.details] == [True, True]


def test_a_broken_header_is_damage_too(file):
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(VerificationError):
        verify_delta(file)
