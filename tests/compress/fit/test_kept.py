"""Thresholds that keep a given number of lanes."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit import rng
from deltakit.compress.fit.kept import keeping, survivors
from deltakit.delta.terms.seeded import CHUNK


@pytest.mark.parametrize(
    ("numel", "kept"), [(1, 1), (5, 1), (5, 4), (100_001, 25_000), (1_048_583, 1), (1_048_583, 400_000)]
)
def test_exactly_so_many_are_kept(numel, kept):
    threshold = keeping(12345, numel, kept)
    lanes = rng.lanes(12345, 0, numel).astype(np.int64)
    assert (lanes < threshold).sum() == kept
    if kept < numel:
        assert threshold == np.sort(lanes)[kept]  # no larger one would do


def test_everything_is_kept_by_the_largest_threshold():
    assert keeping(1, 10, 10) == keeping(1, 10, 11) == keeping(1, 0, 0) == 2**32


def test_another_key_keeps_others_and_each_as_often_as_any():
    rows = np.arange(20, dtype=np.float32).reshape(4, 5)
    drawn = [survivors(rows, key, keeping(key, 20, 5))[0] for key in range(2000)]
    assert all(len(values) == 5 for values in drawn)
    often = np.bincount(np.concatenate(drawn).astype(int), minlength=20) / 2000
    assert np.abs(often - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / 2000)


def test_survivors_are_counted_by_chunk():
    rows = np.arange(3 * CHUNK - 5, dtype=np.float32)[:, None]
    values, counts = survivors(rows, 3, 1 << 30)
    mask = rng.lanes(3, 0, rows.size) < (1 << 30)
    assert np.array_equal(values, rows[mask, 0])
    assert counts.tolist() == [mask[lo : lo + CHUNK].sum() for lo in range(0, rows.size, CHUNK)]
    assert survivors(rows[:0], 3, 5)[0].size == survivors(rows[:0], 3, 5)[1].size == 0
