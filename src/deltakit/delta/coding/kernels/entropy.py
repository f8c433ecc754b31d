"""The loops of range coding (ranged.py), compiled: they run without the interpreter's lock, in integers alone."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import compiled

__all__ = ["DIRECT", "LOW", "SCALE", "SYMBOLS", "encode", "expand", "keyed", "split", "symbols_of", "tally"]

SCALE = 12  # frequencies of a context sum to 2**SCALE
LOW = 1 << 16  # a state lies in LOW .. 2**32 - 1
DIRECT = 128  # differences below it are symbols; above, a symbol is a quarter of an octave
SYMBOLS = DIRECT + 4 * 25

_LENGTH = np.array([int(i).bit_length() for i in range(256)], np.uint64)
_EXTRA = np.array([0] * DIRECT + [5 + k // 4 for k in range(256 - DIRECT)], np.uint64)  # raw bits of a symbol
_START = np.array([*range(DIRECT), *((4 + k % 4) << (5 + k // 4) for k in range(256 - DIRECT))], np.uint64)
_SYMBOL = (np.searchsorted(_START, np.arange(1 << 16), side="right") - 1).astype(np.uint8)  # of what 16 bits may say
_TABLED = np.uint64(1 << 16)
_0, _1, _2, _3, _4, _5, _8, _16, _24, _31, _32 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 8, 16, 24, 31, 32))
_DIRECT, _LOW, _SLOTS = np.uint64(DIRECT), np.uint64(LOW), np.uint64((1 << SCALE) - 1)
_SCALE, _ROOM, _WORD = np.uint64(SCALE), np.uint64(32 - SCALE), np.uint64(0xFFFF)


@compiled
def _length(z):
    """Bits of z, below 2**32."""
    if z >> _16:
        return _LENGTH[z >> _24] + _24 if z >> _24 else _LENGTH[z >> _16] + _16
    return _LENGTH[z >> _8] + _8 if z >> _8 else _LENGTH[z]


@compiled
def _zigzag(base, tuned, half):
    """The wrapped difference of two patterns of bits as a small unsigned number; `half` is 2**(bits-1)."""
    difference = (tuned - base) & (half + half - _1)
    return difference << _1 if difference < half else ((half + half - difference) << _1) - _1


@compiled
def _symbol(z):
    """(symbol, number of raw bits behind it)."""
    if z < _TABLED:
        symbol = np.uint64(_SYMBOL[z])
        return symbol, _EXTRA[symbol]
    n = _length(z)
    return _DIRECT + ((n - _8) << _2) + ((z >> (n - _3)) & _3), n - _3


@compiled
def tally(base, tuned, shift, mask, counts):
    """Add to counts (exponents, SYMBOLS) how often each symbol comes with each exponent of the base."""
    half = _1 << np.uint64(8 * base.itemsize - 1)
    for i in range(base.size):
        b = np.uint64(base[i])
        symbol, _ = _symbol(_zigzag(b, np.uint64(tuned[i]), half))
        counts[(b >> shift) & mask, symbol] += 1


@compiled
def split(base, tuned, symbols, extra):
    """Fill `symbols` and put the raw bits into `extra` (uint32 words). The number of raw bits."""
    half = _1 << np.uint64(8 * base.itemsize - 1)
    at, held, have = 0, _0, _0
    for i in range(base.size):
        z = _zigzag(np.uint64(base[i]), np.uint64(tuned[i]), half)
        symbols[i], n = _symbol(z)
        if n:
            held |= (z & ((_1 << n) - _1)) << have
            have += n
            if have >= _32:
                extra[at] = held & np.uint64(0xFFFFFFFF)
                at, held, have = at + 1, held >> _32, have - _32
    if have:
        extra[at] = held
    return 32 * at + np.int64(have)


@compiled
def keyed(base, shift, mask, contexts, keys):
    """The context of every element, by the exponent of the base."""
    for i in range(base.size):
        keys[i] = contexts[(np.uint64(base[i]) >> shift) & mask]


@compiled
def encode(symbols, keys, starts, sizes, words):
    """Code the symbols from the last to the first, by four states in turn, into the end of `words` (uint16, at least
    symbols.size + 8 long). The first word used; the four states come first, low words before high ones."""
    states = np.full(4, _LOW, np.uint64)
    at = words.size
    for i in range(symbols.size - 1, -1, -1):
        size, start = np.uint64(sizes[keys[i], symbols[i]]), np.uint64(starts[keys[i], symbols[i]])
        x = states[i & 3]
        if x >= size << _ROOM:
            at -= 1
            words[at] = x & _WORD
            x >>= _16
        high = x // size
        states[i & 3] = (high << _SCALE) + (x - high * size) + start
    for j in range(3, -1, -1):
        words[at - 1], words[at - 2] = states[j] >> _16, states[j] & _WORD
        at -= 2
    return at


@compiled
def _state(words, at):
    return np.uint64(words[at]) | (np.uint64(words[at + 1]) << _16)


@compiled
def _step(x, entry):
    """The state behind a symbol, before the next word is taken."""
    return (((entry >> _SCALE) & _SLOTS) + _1) * (x >> _SCALE) + (entry & _SLOTS)


@compiled
def symbols_of(keys, table, words, symbols):
    """The inverse of `encode`. table: for context c at c * 2**SCALE + slot the symbol, its frequency - 1 and the
    place within the symbol (8, 12, 12 bits). True where the words end as they must. Four symbols a turn, without
    branches: what is coded cannot be foretold."""
    x0, x1, x2, x3 = _state(words, 0), _state(words, 2), _state(words, 4), _state(words, 6)
    at, i, whole, last = 8, 0, keys.size // 4 * 4, words.size - 4
    while i < whole and at <= last:
        e0 = np.uint64(table[(np.uint64(keys[i]) << _SCALE) | (x0 & _SLOTS)])
        e1 = np.uint64(table[(np.uint64(keys[i + 1]) << _SCALE) | (x1 & _SLOTS)])
        e2 = np.uint64(table[(np.uint64(keys[i + 2]) << _SCALE) | (x2 & _SLOTS)])
        e3 = np.uint64(table[(np.uint64(keys[i + 3]) << _SCALE) | (x3 & _SLOTS)])
        x0, x1, x2, x3 = _step(x0, e0), _step(x1, e1), _step(x2, e2), _step(x3, e3)
        symbols[i], symbols[i + 1], symbols[i + 2], symbols[i + 3] = e0 >> _24, e1 >> _24, e2 >> _24, e3 >> _24
        word, short = np.uint64(words[at]), x0 < _LOW
        x0, at = (x0 << _16) | word if short else x0, at + short
        word, short = np.uint64(words[at]), x1 < _LOW
        x1, at = (x1 << _16) | word if short else x1, at + short
        word, short = np.uint64(words[at]), x2 < _LOW
        x2, at = (x2 << _16) | word if short else x2, at + short
        word, short = np.uint64(words[at]), x3 < _LOW
        x3, at = (x3 << _16) | word if short else x3, at + short
        i += 4
    while i < keys.size:
        entry = np.uint64(table[(np.uint64(keys[i]) << _SCALE) | (x0 & _SLOTS)])
        symbols[i], x0 = entry >> _24, _step(x0, entry)
        if x0 < _LOW:
            x0, at = (x0 << _16) | (np.uint64(words[at]) if at < words.size else _0), at + 1
        x0, x1, x2, x3 = x1, x2, x3, x0
        i += 1
    return at == words.size and x0 == _LOW and x1 == _LOW and x2 == _LOW and x3 == _LOW


@compiled
def expand(base, symbols, extra, out):
    """out = base + the differences of `symbols`, with their raw bits (uint32 words, two more than are used). The
    number of raw bits; more than there are where the words are too few. Without branches, as above."""
    bit, last = _0, np.uint64(extra.size - 2)
    for i in range(base.size):
        symbol = symbols[i]
        w = min(bit >> _5, last)
        held = (np.uint64(extra[w]) | (np.uint64(extra[w + _1]) << _32)) >> (bit & _31)
        n = _EXTRA[symbol]
        z = _START[symbol] + (held & ((_1 << n) - _1))
        bit += n
        out[i] = np.uint64(base[i]) + ((z >> _1) ^ (_0 - (z & _1)))
    return bit
