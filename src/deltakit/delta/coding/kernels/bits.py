"""Bit streams of 1 to 8 bits against bytes: a group of eight codes is one 64-bit word on either side."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import compiled, load64, store64

__all__ = ["gather", "spread"]


@compiled
def _masks(bits):
    """The low halves of every 64, 32 and 16 bits of a word, where a half holds 4, 2 and 1 codes."""
    four = np.uint64((1 << (4 * bits)) - 1)
    two = np.uint64((1 << (2 * bits)) - 1) * np.uint64(0x0000000100000001)
    one = np.uint64((1 << bits) - 1) * np.uint64(0x0001000100010001)
    return four, two, one


@compiled
def spread(words, address, bits):
    """Eight codes a byte each into every word of `words`, from the groups of `bits` bytes behind `address`, of which
    eight bytes are read at a time."""
    four, two, one = _masks(bits)
    b = np.uint64(bits)
    by4, by2, by1 = np.uint64(4) * b, np.uint64(2) * b, b
    to4, to2, to1 = np.uint64(32) - by4, np.uint64(16) - by2, np.uint64(8) - b
    for k in range(words.size):
        word = load64(address + np.uint64(k * bits), 0)
        word = (word & four) | ((word & (four << by4)) << to4)
        word = (word & two) | ((word & (two << by2)) << to2)
        words[k] = (word & one) | ((word & (one << by1)) << to1)


@compiled
def gather(words, address, bits):
    """The reverse: eight bytes are written at a time, of which the next group overwrites all but `bits`."""
    four, two, one = _masks(bits)
    b = np.uint64(bits)
    by4, by2, by1 = np.uint64(4) * b, np.uint64(2) * b, b
    to4, to2, to1 = np.uint64(32) - by4, np.uint64(16) - by2, np.uint64(8) - b
    for k in range(words.size):
        word = words[k]
        word = (word & one) | ((word >> to1) & (one << by1))
        word = (word & two) | ((word >> to2) & (two << by2))
        store64(address + np.uint64(k * bits), 0, (word & four) | ((word >> to4) & (four << by4)))
