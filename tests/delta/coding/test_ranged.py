"""Range coding: lossless, decodable by range, near the entropy, and suspicious of what it is given."""

import numpy as np
import pytest

from deltakit.delta.coding import ranged
from deltakit.delta.coding.ranged import EXPONENTS, Coded, Model, code
from deltakit.errors import CheckpointError
from deltakit.tensors import from_float32, numpy_bits, to_float32
from support.tensors import normal

GOLDEN = (
    "0000040038000000010000007d040000140000001400000028b52ffd20e45d0000205655550001005d0a100128b52ffd"
    "20e45d0000200505050001005d0a1001100000000000000036f50200bb0a03006605030000000100"
)


def pair(dtype, rows, row_size, step=1e-3, seed=0):
    base = from_float32(normal((rows * row_size,), seed, 0.02), dtype)
    tuned = to_float32(base, dtype) + normal((rows * row_size,), seed + 1, step)
    return base.view(numpy_bits(dtype)), from_float32(tuned, dtype).view(numpy_bits(dtype))


def coded(base, tuned, rows, row_size, dtype):
    def pull(lo, hi):
        return base[lo * row_size : hi * row_size], tuned[lo * row_size : hi * row_size]

    return memoryview(code(pull, rows, row_size, dtype))


def opened(payload, base, rows, row_size, dtype):
    made = Coded.open(payload, rows, row_size, dtype)
    return lambda lo, hi: made.read(lo, hi, lambda a, b: base[a * row_size : b * row_size])


@pytest.mark.parametrize("dtype", sorted(EXPONENTS))
@pytest.mark.parametrize(("rows", "row_size"), [(0, 5), (1, 1), (63, 1), (31, 5), (3, 0)])
def test_any_range_of_rows_reads_back(dtype, rows, row_size, monkeypatch):
    monkeypatch.setattr(ranged, "CHUNK", 12)
    base, tuned = pair(dtype, rows, row_size)
    read = opened(coded(base, tuned, rows, row_size, dtype), base, rows, row_size, dtype)
    for lo, hi in [(0, rows), (0, min(1, rows)), (rows // 3, rows // 2), (rows, rows)]:
        assert (read(lo, hi) == tuned[lo * row_size : hi * row_size]).all()


@pytest.mark.parametrize("dtype", sorted(EXPONENTS))
def test_any_bits_come_back(dtype):
    rng = np.random.default_rng(1)
    base, tuned = (rng.integers(0, np.iinfo(numpy_bits(dtype)).max, 900).astype(numpy_bits(dtype)) for _ in range(2))
    assert (opened(coded(base, tuned, 30, 30, dtype), base, 30, 30, dtype)(0, 30) == tuned).all()


@pytest.mark.parametrize("step", [1e-5, 1e-4, 1e-3])
def test_the_size_is_near_the_entropy_given_the_exponent(step):
    base, tuned = pair("BF16", 512, 512, step)
    difference, exponents, total = (tuned - base).astype(np.int64), (base >> 7) & 255, 0.0
    for e in np.unique(exponents):
        counts = np.unique(difference[exponents == e], return_counts=True)[1]
        total -= float((counts * np.log2(counts / counts.sum())).sum())
    bits = 8 * len(coded(base, tuned, 512, 512, "BF16"))
    assert bits < 1.03 * total + 16000  # the tables take some hundred bytes a context


def test_a_model_groups_rare_exponents_and_survives_the_file():
    counts = np.zeros((256, 228), np.int64)
    counts[100:120, :9] = 100
    counts[119, 0] = 10**6
    made = Model.of(counts)
    assert 1 < len(made.firsts) < 20
    assert (made.sizes.sum(axis=1) == 4096).all()
    again = Model.load(memoryview(made.save()), 256)
    assert (again.firsts == made.firsts).all()
    assert (again.sizes == made.sizes).all()
    assert (made.contexts(256)[[0, 255]] == [0, len(made.firsts) - 1]).all()


def test_every_symbol_that_occurs_has_a_slot():
    counts = np.ones((1, 228), np.int64)
    counts[0, 3] = 10**9
    assert Model.of(counts).sizes.min() == 1
    assert Model.of(np.zeros((4, 228), np.int64)).sizes.tolist()[0][0] == 4096


def test_golden_bytes():
    base, tuned = np.array([0x3F80, 0x3F80, 0xBF80], "<u2"), np.array([0x3F80, 0x3F81, 0xBF7F], "<u2")
    assert bytes(coded(base, tuned, 3, 1, "BF16")).hex() == GOLDEN
    assert (opened(memoryview(bytes.fromhex(GOLDEN)), base, 3, 1, "BF16")(0, 3) == tuned).all()


@pytest.mark.parametrize("cut", [0, 7, 20, -1])
def test_a_cut_payload_is_refused(cut):
    base, tuned = pair("BF16", 8, 8)
    with pytest.raises(CheckpointError):
        Coded.open(coded(base, tuned, 8, 8, "BF16")[:cut], 8, 8, "BF16")


def test_damage_is_refused_or_decodes_to_something_without_leaving_the_payload():
    base, tuned = pair("BF16", 64, 64)
    good = bytes(coded(base, tuned, 64, 64, "BF16"))
    for at in range(0, len(good), 97):
        bad = bytearray(good)
        bad[at] ^= 0x5A
        try:
            opened(memoryview(bytes(bad)), base, 64, 64, "BF16")(0, 64)
        except CheckpointError:
            continue


def test_other_dtypes_are_refused():
    with pytest.raises(CheckpointError, match="BF16"):
        Coded.open(memoryview(bytes(8)), 1, 1, "I64")
