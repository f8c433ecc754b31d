"""Codes to numbers: against torch's casts and loops that spell the format out."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.checkpoint.codes import Coded, float8, unpack
from support.tensors import bits, memory, normal, tensor


@pytest.mark.parametrize(("dtype", "name"), [("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2")])
def test_all_256_codes_are_torchs(dtype, name):
    import torch

    codes = np.arange(256, dtype=np.uint8)
    expected = torch.from_numpy(codes.copy()).view(getattr(torch, name)).to(torch.float32).numpy()
    assert np.array_equal(float8(codes.tobytes(), dtype), expected, equal_nan=True)
    assert np.signbit(float8(b"\x80", dtype))[0]


def pack(values, width):
    """The layout, spelled out: offset to unsigned, lowest bits first, the last word padded with zero bits."""
    rows, columns = values.shape
    each = 32 // width
    words = np.zeros((rows, -(-columns // each)), np.uint32)
    for r in range(rows):
        for c in range(columns):
            code = int(values[r, c]) + (1 << (width - 1))
            words[r, c // each] |= np.uint32(code << (c % each * width))
    return words


def draw(shape, width, seed=0):
    return np.random.default_rng(seed).integers(-(1 << (width - 1)), 1 << (width - 1), shape)


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("columns", [1, 7, 32, 33])
def test_packed_integers_come_back(width, columns):
    values = draw((5, columns), width)
    assert np.array_equal(unpack(pack(values, width), width, columns), values)
    assert unpack(np.empty((0, 0), np.uint32), width, 0).shape == (0, 0)


def test_known_words():
    """From compressed-tensors 0.20, pack_to_int32 of the row -8, -7, ..., 7, -1 with 4 bits."""
    row = [*range(-8, 8), -1]
    words = np.array([[0x76543210, 0xFEDCBA98, 0x7]], np.uint32)
    assert np.array_equal(pack(np.array([row]), 4), words)
    assert unpack(words, 4, 17)[0].tolist() == row


def check(coded, source, expected):
    """Every range of rows gives what a whole read gives."""
    whole = coded.rows(source, 0, coded.shape[0])
    assert whole.dtype == np.float32
    assert np.array_equal(whole, expected.reshape(whole.shape))
    for lo, hi in [(0, 1), (2, 5), (3, 3), (1, coded.shape[0])]:
        assert np.array_equal(coded.rows(source, lo, hi), whole[lo:hi])


def test_blocks_that_do_not_divide_the_matrix():
    codes = np.random.default_rng(1).integers(0, 127, (10, 7)).astype(np.uint8)
    scale = normal((3, 2), 2)
    expected = np.empty((10, 7), np.float32)
    values = float8(codes.tobytes(), "F8_E4M3").reshape(10, 7)
    for r in range(10):
        for c in range(7):
            expected[r, c] = values[r, c] * scale[r // 4, c // 4]
    source = memory({"w": bits(codes, "F8_E4M3"), "s": tensor(scale, "F32")})
    check(Coded("w", (10, 7), (4, 4), "s"), source, expected)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (10,), (10, 1)])
def test_a_scale_for_all_or_for_each_row(shape):
    codes = np.random.default_rng(1).integers(-127, 127, (10, 7)).astype(np.int8)
    scale = np.asarray(normal(shape, 2)).reshape(shape)
    source = memory({"w": bits(codes.view(np.uint8), "I8"), "s": tensor(scale, "F32")})
    block = (1 if scale.size == 10 else 10, 7)
    check(Coded("w", (10, 7), block, "s"), source, codes.astype(np.float32) * scale.reshape(-1, 1))


def test_integers_with_zero_points_of_groups():
    codes = np.random.default_rng(1).integers(-128, 128, (10, 12)).astype(np.int8)
    zeros = np.random.default_rng(2).integers(-128, 128, (10, 3)).astype(np.int8)
    scale = normal((10, 3), 3)
    expected = (codes.astype(np.float32) - zeros.repeat(4, 1)) * scale.repeat(4, 1)
    source = memory({
        "w": bits(codes.view(np.uint8), "I8"), "z": bits(zeros.view(np.uint8), "I8"), "s": tensor(scale, "F32")
    })  # fmt: skip
    check(Coded("w", (10, 12), (1, 4), "s", "z"), source, expected)


def packed(width, columns=24, groups=3, order=None, seed=0):
    """A packed matrix of 10 rows with packed zero points: (source, its values)."""
    values, zeros = draw((10, columns), width, seed), draw((10, groups), width, seed + 1)
    scale = normal((10, groups), seed + 2)
    group = np.arange(columns) // (columns // groups) if order is None else order
    expected = (values - zeros[:, group]).astype(np.float32) * scale[:, group]
    tensors = {
        "w": bits(pack(values, width), "I32"), "s": tensor(scale, "F32"),
        "z": bits(pack(zeros.T, width).T.copy(), "I32"),
        "g": bits(np.asarray(group).astype(np.int32).view(np.uint32), "I32"),
    }  # fmt: skip
    return memory(tensors), expected


@pytest.mark.parametrize("width", [2, 4, 8])
def test_packed_groups_with_packed_zero_points(width):
    source, expected = packed(width)
    check(Coded("w", (10, 24), (1, 8), "s", "z", None, width, True), source, expected)


def test_groups_in_another_order():
    order = np.random.default_rng(5).permutation(np.arange(24) // 8)
    source, expected = packed(4, order=order)
    check(Coded("w", (10, 24), (1, 8), "s", "z", "g", 4, True), source, expected)


def test_an_order_of_minus_one_is_no_order():
    source, _ = packed(4, order=np.full(24, -1))
    plain, expected = packed(4)
    source = memory({n: (s, bytes((source if n == "g" else plain).buffer(n))) for n, s in plain.specs.items()})
    check(Coded("w", (10, 24), (1, 8), "s", "z", "g", 4, True), source, expected)


@pytest.mark.parametrize("grid", ["matrix", "rows", "one", "all"])
def test_stacked_matrices(grid):
    codes = np.random.default_rng(1).integers(0, 127, (6, 9, 8)).astype(np.uint8)
    values = float8(codes.tobytes(), "F8_E4M3").reshape(6, 9, 8)
    shape, block = {
        "matrix": ((6, 3, 2), (4, 4)), "rows": ((6, 9, 1), (1, 8)), "one": ((6,), (9, 8)), "all": ((1,), (9, 8)),
    }[grid]  # fmt: skip
    scale = normal(shape, 2)
    full = {
        "matrix": lambda: scale.repeat(4, 1)[:, :9].repeat(4, 2)[:, :, :8],
        "rows": lambda: scale, "one": lambda: scale.reshape(6, 1, 1), "all": lambda: scale.reshape(1, 1, 1),
    }[grid]()  # fmt: skip
    source = memory({"w": bits(codes, "F8_E4M3"), "s": tensor(scale, "F32")})
    check(Coded("w", (6, 9, 8), block, "s"), source, values * full)


def test_stacked_packed_matrices():
    values = draw((6, 10, 24), 4)
    scale = normal((6, 10, 3), 2)
    source = memory({
        "w": bits(np.stack([pack(v, 4) for v in values]), "I32"), "s": tensor(scale, "F32"),
    })  # fmt: skip
    expected = values.astype(np.float32) * scale.repeat(8, 2)
    check(Coded("w", (6, 10, 24), (1, 8), "s", bits=4), source, expected)


@pytest.mark.parametrize("shape", [(10,), (10, 2, 3, 1)])
def test_tensors_that_are_no_matrices(shape):
    codes = np.random.default_rng(1).integers(0, 127, shape).astype(np.uint8)
    source = memory({"w": bits(codes, "F8_E5M2")})
    with np.errstate(invalid="ignore"):
        expected = float8(codes.tobytes(), "F8_E5M2")
    found = Coded("w", shape, (1, 1)).rows(source, 2, 5)
    assert np.array_equal(found.ravel(), expected.reshape(10, -1)[2:5].ravel(), equal_nan=True)
