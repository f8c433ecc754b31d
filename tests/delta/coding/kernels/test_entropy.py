"""The range coder's loops against plain Python, written from the page on the format."""

import numpy as np
import pytest

from deltakit.delta.coding.kernels import entropy


def symbol(z):
    """(symbol, raw bits) by the definition."""
    n = int(z).bit_length()
    return (z, 0) if z < 128 else (128 + 4 * (n - 8) + ((z >> (n - 3)) & 3), n - 3)


def plain_decode(words, keys, starts, sizes):
    """The symbols behind a stream of words, one state after the other."""
    words = [int(w) for w in words]
    states, at, out = [words[2 * j] | words[2 * j + 1] << 16 for j in range(4)], 8, []
    for i, c in enumerate(keys):
        x = states[i % 4]
        slot = x % 4096
        s = int(np.flatnonzero((starts[c] <= slot) & (slot < starts[c].astype(int) + sizes[c]))[0])
        x = int(sizes[c][s]) * (x >> 12) + slot - int(starts[c][s])
        if x < 1 << 16:
            x, at = x << 16 | words[at], at + 1
        states[i % 4] = x
        out.append(s)
    assert at == len(words)
    assert states == [1 << 16] * 4
    return out


def model(seed, contexts=3):
    rng = np.random.default_rng(seed)
    sizes = rng.multinomial(4096 - entropy.SYMBOLS, rng.dirichlet(np.full(entropy.SYMBOLS, 0.1)), contexts) + 1
    starts = np.cumsum(sizes, axis=1) - sizes
    return starts.astype(np.uint16), sizes.astype(np.uint16)


def table(starts, sizes):
    rows = []
    for a, n in zip(starts, sizes, strict=True):
        s = np.repeat(np.arange(entropy.SYMBOLS), n)
        rows.append(s << 24 | (n[s].astype(int) - 1) << 12 | (np.arange(4096) - a[s]))
    return np.concatenate(rows).astype(np.uint32)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 200])
def test_symbols_come_back_by_both_decoders(count):
    starts, sizes = model(count)
    rng = np.random.default_rng(count)
    symbols = rng.integers(0, entropy.SYMBOLS, count, dtype=np.uint8)
    keys = rng.integers(0, 3, count, dtype=np.uint8)
    words = np.empty(count + 8, "<u2")
    words = words[entropy.encode(symbols, keys, starts, sizes, words) :].copy()
    assert plain_decode(words, keys, starts, sizes) == symbols.tolist()
    found = np.empty(count, np.uint8)
    assert entropy.symbols_of(keys, table(starts, sizes), words, found)
    assert (found == symbols).all()
    if count > 50:
        assert not entropy.symbols_of(keys, table(starts, sizes), words[:-1].copy(), found)


@pytest.mark.parametrize(("dtype", "shift", "bits"), [("<u2", 7, 8), ("<u4", 23, 8)])
def test_differences_are_split_and_put_together(dtype, shift, bits):
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    base = rng.integers(0, top, 3000, dtype, endpoint=True)
    wide = (rng.integers(0, 2**63, 3000) >> rng.integers(0, 63, 3000)).astype(dtype)
    tuned = (base + wide).astype(dtype)
    tuned[:4] = base[:4] ^ np.array([0, 1, top, top // 2 + 1], dtype)
    signed = (tuned - base).view(dtype.replace("u", "i")).astype(object)
    want = [symbol(2 * int(d) if d >= 0 else -2 * int(d) - 1) for d in signed]
    symbols, extra = np.empty(3000, np.uint8), np.zeros(3001, "<u4")
    used = entropy.split(base, tuned, symbols, extra)
    assert (symbols.tolist(), used) == ([s for s, _ in want], sum(n for _, n in want))
    out = np.empty_like(base)
    extra = np.append(extra[: (used + 31) // 32], np.zeros(2, np.uint32))
    assert entropy.expand(base, symbols, extra, out) == used
    assert (out == tuned).all()
    counts = np.zeros((1 << bits, entropy.SYMBOLS), np.int64)
    entropy.tally(base, tuned, np.uint64(shift), np.uint64((1 << bits) - 1), counts)
    exponents = (base >> shift) & ((1 << bits) - 1)
    assert (counts.sum(axis=1) == np.bincount(exponents, minlength=1 << bits)).all()
    assert (counts.sum(axis=0) == np.bincount(symbols, minlength=entropy.SYMBOLS)).all()
    keys = np.empty(3000, np.uint8)
    entropy.keyed(base, np.uint64(shift), np.uint64((1 << bits) - 1), np.arange(256, dtype=np.uint8) // 2, keys)
    assert (keys == exponents // 2).all()


def test_raw_bits_that_are_cut_are_seen():
    base = np.zeros(100, "<u2")
    symbols = np.full(100, 200, np.uint8)
    assert entropy.expand(base, symbols, np.zeros(2, "<u4"), np.empty_like(base)) > 32
