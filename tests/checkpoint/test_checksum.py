"""The 64-bit checksum."""

import hashlib

import numpy as np

from deltakit.checkpoint.checksum import Checksum, checksum, hasher


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


def test_the_fast_kind_says_what_it_is_and_compares_with_either() -> None:
    fast = Checksum()
    fast.update(b"ab")
    fast.update(memoryview(b"c"))
    assert fast.text == "xxh3:78af5f94892f3950"  # XXH3-64 of "abc", as its specification's test vectors have it
    again, old = Checksum(fast.text), Checksum(checksum(b"abc"))
    again.update(b"abc")
    old.update(b"abc")
    assert (again.text, old.text) == (fast.text, checksum(b"abc"))
