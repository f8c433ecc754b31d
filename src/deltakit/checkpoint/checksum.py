"""The 64-bit checksum that the hot path keeps of all bytes."""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = ["checksum", "hasher"]


def hasher() -> hashlib.blake2b:
    """An incremental checksum: update() with the bytes in order, then hexdigest()."""
    return hashlib.blake2b(digest_size=8)


def checksum(raw: Any) -> str:
    """16 hex digits (blake2b, digest_size 8) of a bytes-like."""
    state = hasher()
    state.update(raw)
    return state.hexdigest()
