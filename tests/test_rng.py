"""Counter-based randomness: the golden values of the file format, and independence of how it is asked."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import RecipeError
from deltakit.rng import keep_mask, key, lanes, probability, threshold, words

GOLDEN = (42, "math", "model.layers.0.mlp.up_proj.weight")
M64 = 2**64 - 1
KEYS = st.integers(0, M64)


def test_golden_words() -> None:
    assert [f"{w:016x}" for w in words(0, 0, 3)] == ["e220a8397b1dcdaf", "6e789e6aa1b965f4", "06c45d188009454f"]


def test_golden_key_and_mask() -> None:
    assert f"{key(*GOLDEN):016x}" == "4bbd77f316235a24"
    mask = keep_mask(key(*GOLDEN), 0, 1_000_000, 0.1)
    assert np.flatnonzero(mask[:64]).tolist() == [2, 14, 15, 26, 29, 55, 59]
    assert mask.sum() == 99645


def test_the_key_is_of_compact_utf8_json() -> None:
    digest = hashlib.sha256('[7,"мир","a\\"b"]'.encode()).digest()
    assert key(7, "мир", 'a"b') == int.from_bytes(digest[:8], "little")
    assert len({key(s, m, t) for s in (0, 1) for m in ("a", "b") for t in ("x", "y")}) == 8


def word(k: int, i: int) -> int:
    """The definition of ARCHITECTURE.md with Python's integers."""
    z = (k + (i + 1) * 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


@given(KEYS, st.integers(0, 2**40), st.integers(0, 8))
def test_words_are_the_definition(k: int, lo: int, count: int) -> None:
    assert words(k, lo, lo + count).tolist() == [word(k, i) for i in range(lo, lo + count)]


@given(KEYS, st.integers(0, 2**40), st.integers(0, 9))
def test_even_elements_take_the_low_half(k: int, lo: int, count: int) -> None:
    expected = [(word(k, e // 2) >> (32 * (e % 2))) & 0xFFFFFFFF for e in range(lo, lo + count)]
    assert lanes(k, lo, lo + count).tolist() == expected


@given(KEYS, st.floats(1e-6, 1.0), st.lists(st.integers(0, 100), max_size=5))
def test_chunks_give_the_whole(k: int, density: float, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 100]
    parts = [keep_mask(k, lo, hi, density) for lo, hi in zip(edges, edges[1:], strict=False)]
    assert np.array_equal(np.concatenate(parts), keep_mask(k, 0, 100, density))


@given(KEYS, st.floats(1e-9, 1.0))
def test_an_element_is_kept_iff_its_lane_is_below_the_threshold(k: int, density: float) -> None:
    expected = lanes(k, 0, 50).astype(np.uint64) < threshold(density)
    assert np.array_equal(keep_mask(k, 0, 50, density), expected)


def test_the_ends_of_density() -> None:
    assert threshold(1.0) == 2**32
    assert probability(1.0) == 1.0
    assert keep_mask(3, 0, 1000, 1.0).all()
    assert threshold(1e-12) == 1
    assert probability(0.1) == threshold(0.1) / 2**32
    for bad in (0.0, -1.0, 1.2, float("nan"), float("inf")):
        with pytest.raises(RecipeError, match="density"):
            threshold(bad)


@pytest.mark.parametrize("density", [0.01, 0.2, 0.5, 0.9])
def test_the_share_kept_is_the_density(density: float) -> None:
    n = 200_000
    kept = np.mean([keep_mask(key(s, "m", "t"), 0, n, density).mean() for s in range(5)])
    assert abs(kept - density) < 5 * np.sqrt(density * (1 - density) / (5 * n))
