"""The 64-bit checksums: BLAKE2b in delta files, where the format says so; XXH3 on the hot path of writing checkpoints.

XXH3 guards against damage, not against forgery, and keeps up with the disk: 10 GB/s and more for each core, a tenfold
of BLAKE2b. A checksum in a journal or manifest says what it is by its prefix; one without a prefix is BLAKE2b.
"""

from __future__ import annotations

import hashlib
from typing import Any

import xxhash

__all__ = ["Checksum", "checksum", "hasher"]

_PREFIX = "xxh3:"


def hasher() -> hashlib.blake2b:
    """An incremental BLAKE2b checksum: update() with the bytes in order, then hexdigest()."""
    return hashlib.blake2b(digest_size=8)


def checksum(raw: Any) -> str:
    """16 hex digits (blake2b, digest_size 8) of a bytes-like."""
    state = hasher()
    state.update(raw)
    return state.hexdigest()


class Checksum:
    """An incremental checksum of the fast kind, or of the kind of `like`, a checksum to compare with."""

    def __init__(self, like: str = _PREFIX) -> None:
        self._fast = like.startswith(_PREFIX)
        self._state: Any = xxhash.xxh3_64() if self._fast else hasher()

    def update(self, raw: Any) -> None:
        """Go on with the bytes-like `raw`; other threads run meanwhile."""
        self._state.update(raw)

    @property
    def text(self) -> str:
        """ "xxh3:" and 16 hex digits; 16 hex digits alone for BLAKE2b."""
        return f"{_PREFIX if self._fast else ''}{self._state.hexdigest()}"
