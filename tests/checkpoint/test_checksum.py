"""The 64-bit checksum."""

import hashlib

import numpy as np

from deltakit.checkpoint.checksum import checksum, hasher


def test_it_is_blake2b_of_eight_bytes() -> None:
    assert checksum(b"abc") == hashlib.blake2b(b"abc", digest_size=8).hexdigest()
    assert len(checksum(b"")) == 16
    assert checksum(np.frombuffer(b"abc", "u1")) == checksum(memoryview(b"abc")) == checksum(b"abc")


def test_pieces_give_the_same_as_the_whole() -> None:
    state = hasher()
    state.update(b"ab")
    state.update(b"c")
    assert state.hexdigest() == checksum(b"abc")
    assert checksum(b"abd") != checksum(b"abc")
