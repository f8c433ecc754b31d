"""Counts of magnitudes and sums of products against the same in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.merge.kernels.measure import BIN_BITS, BINS, add_products, count_bins, count_bracket
from deltakit.merge.kernels.steps import BLOCK
from support.programs import family, program

SIZES = [0, 1, 63, BLOCK, 5 * BLOCK + 17]


def magnitudes(base: np.ndarray, tuned: np.ndarray) -> np.ndarray:
    return (tuned - base).view(np.uint32) & np.uint32(0x7FFFFFFF)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
def test_bins_of_all_or_of_every_second_block(count: int, stride: int) -> None:
    base, tuned = family(count)
    tables, _held = program(base, tuned).over(0, count)
    found = np.zeros((2, BINS), np.int64)
    assert count_bins(found, count, 0, 2, tables, stride)
    taken = np.arange(count) // BLOCK % stride == 0
    for bins, values in zip(found, tuned, strict=True):
        expected = np.bincount(magnitudes(base, values)[taken] >> BIN_BITS, minlength=BINS)
        np.testing.assert_array_equal(bins, expected)


@pytest.mark.parametrize("count", SIZES)
def test_a_bracket_is_counted_pattern_by_pattern(count: int) -> None:
    base, tuned = family(count, dtype="BF16")
    tables, _held = program(base, tuned, "BF16").over(0, count)
    low, width = int(np.float32(0.05).view(np.uint32)), 2 << BIN_BITS
    below, table = np.zeros(2, np.int64), np.zeros((2, width), np.int64)
    assert count_bracket(below, table, np.full(2, low, np.uint32), width, count, 0, 2, tables)
    for j, values in enumerate(tuned):
        sizes = magnitudes(base, values)
        inside = sizes[(sizes >= low) & (sizes < low + width)]
        assert below[j] == (sizes < low).sum()
        np.testing.assert_array_equal(table[j], np.bincount(inside - np.uint32(low), minlength=width))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_stops_a_count(wrong: float) -> None:
    base, tuned = family(3000)
    tuned[1][2100] = wrong
    tables, _held = program(base, tuned).over(0, 3000)
    assert not count_bins(np.zeros((2, BINS), np.int64), 3000, 0, 2, tables, 1)
    table, low = np.zeros((2, 8), np.int64), np.zeros(2, np.uint32)
    assert not count_bracket(np.zeros(2, np.int64), table, low, 8, 3000, 0, 2, tables)


@pytest.mark.parametrize("count", SIZES)
def test_products_are_summed_lane_by_lane(count: int) -> None:
    base, tuned = family(count, 1)
    tables, _held = program(base, tuned).over(0, count)
    lanes = np.zeros((3, BLOCK))
    add_products(lanes, count, tables)
    a = base.astype(np.float64)
    b = a + (tuned[0] - base)
    for found, products in zip(lanes, (a * a, a * b, b * b), strict=True):
        padded = np.zeros(-(-count // BLOCK) * BLOCK)
        padded[:count] = products
        np.testing.assert_array_equal(found, np.add.reduce(padded.reshape(-1, BLOCK), axis=0))
