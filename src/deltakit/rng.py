"""Counter-based randomness: word i of a key, the same on every machine, in any order, in any chunk.

Key = first 8 bytes (little endian) of SHA-256 over the compact UTF-8 JSON of [seed, model, tensor];
word i = SplitMix64's finaliser of key + (i+1) * 0x9E3779B97F4A7C15 (mod 2**64). Element e takes the low
32 bits of word e//2 if e is even, else the high ones. The mask is part of the file format (docs/format.md).
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import RecipeError

__all__ = ["keep_mask", "key", "lanes", "probability", "threshold", "words"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def key(seed: int, model: str, tensor: str) -> int:
    """The 64-bit key of one tensor of one model under one seed."""
    text = json.dumps([seed, model, tensor], separators=(",", ":"), ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def words(key: int, lo: int, hi: int) -> NDArray[np.uint64]:
    """64-bit words lo..hi of a key's stream."""
    z = np.arange(lo + 1, hi + 1, dtype=np.uint64)
    z *= _STEP
    z += np.uint64(key)
    z ^= z >> np.uint64(30)
    z *= _M1
    z ^= z >> np.uint64(27)
    z *= _M2
    z ^= z >> np.uint64(31)
    return z


def lanes(key: int, lo: int, hi: int) -> NDArray[np.uint32]:
    """The 32-bit lanes of elements lo..hi."""
    pair = words(key, lo // 2, (hi + 1) // 2).astype("<u8", copy=False).view("<u4")
    return pair[lo % 2 : lo % 2 + hi - lo]


def threshold(density: float) -> int:
    """T = round(density * 2**32); an element is kept iff its lane is below T."""
    if not 0.0 < density <= 1.0:
        raise RecipeError(f"density {density} is not in (0, 1]", remedy="density is the share that is kept, e.g. 0.2")
    return max(1, round(density * 2**32))


def probability(density: float) -> float:
    """The probability really used, T / 2**32; survivors are divided by it."""
    return threshold(density) / 2**32


def keep_mask(key: int, lo: int, hi: int, density: float) -> NDArray[np.bool_]:
    """Which of the elements lo..hi are kept, each with probability `probability(density)`."""
    return lanes(key, lo, hi) <= np.uint32(threshold(density) - 1)
