"""A merged LoRA is told from a full fine-tune by the rounding of its weights."""

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.fit.recognise import factors, recognised, roundings
from deltakit.compress.run.archive import compress
from deltakit.compress.run.operands import Operands
from deltakit.compress.run.request import Request
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Entry, Part
from deltakit.delta.file.container import open_delta
from deltakit.delta.terms.dense import Dense
from deltakit.tensors import from_float32, to_float32
from support.models import tiny_llama
from support.tensors import memory, normal, tensor


def rounded(values, dtype):
    return to_float32(from_float32(values, dtype).tobytes(), dtype).reshape(values.shape)


def merged(rank, dtype, shape=(200, 160), size=3e-4, seed=0):
    """(base, tuned) of a LoRA merge."""
    base = rounded(normal(shape, seed, 0.02), dtype)
    product = normal((shape[0], rank), seed + 1) @ normal((rank, shape[1]), seed + 2) * size / np.sqrt(rank)
    return base, rounded(base + product.astype(np.float32), dtype)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("rank", [1, 4, 16])
def test_the_rank_of_a_merge_is_found_and_its_weights_come_back(dtype, rank):
    base, tuned = merged(rank, dtype)
    u, v = factors(tuned - base, base, dtype)
    assert u.shape[1] == v.shape[1] == rank
    wrong = rounded(base + u @ v.T, dtype) != tuned
    assert wrong.mean() < 0.03 + 0.006 * rank
    noise = np.square(roundings(tuned, dtype), dtype=np.float64).sum() / 12
    assert np.square(base + u @ v.T - tuned, dtype=np.float64).sum() < 1.25 * noise


def test_weighing_by_rounding_beats_the_singular_vectors():
    base, tuned = merged(4, "BF16")
    u, v = factors(tuned - base, base, "BF16")
    p, s, q = np.linalg.svd((tuned - base).astype(np.float64), full_matrices=False)
    plain = ((p[:, :4] * s[:4]) @ q[:4]).astype(np.float32)
    wrong, before = ((rounded(base + d, "BF16") != tuned).mean() for d in (u @ v.T, plain))
    assert wrong < 0.4 * before


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_other_fine_tunes_are_not_taken_for_one(dtype):
    base, lora = merged(4, dtype)
    full = rounded(base + normal(base.shape, 9, 2e-4), dtype)
    steps = np.where(np.random.default_rng(1).random(base.shape) < 0.01, roundings(base, dtype), 0)
    mixed = rounded(lora + normal(base.shape, 8, 1e-4), dtype)
    wide = base + normal((200, 100), 3, 1e-4) @ normal((100, 160), 4, 0.1)
    for tuned in (full, base + steps.astype(np.float32), mixed, rounded(wide, dtype), base):
        assert factors(tuned - base, base, dtype) is None
    assert factors((lora - base)[:7], base[:7], dtype) is None


def test_a_large_matrix_is_looked_at_in_a_sample_first():
    base, tuned = merged(8, "BF16", (1100, 700))
    assert factors(tuned - base, base, "BF16")[0].shape == (1100, 8)
    assert factors(normal((1100, 700), 5, 1e-3), base, "BF16") is None


def test_units_in_the_last_place():
    values = np.array([1.0, -1.99, 2.0, 0.0, 1e-44], np.float32)
    assert roundings(values, "BF16").tolist()[:3] == [2**-7, 2**-7, 2**-6]
    assert roundings(values, "F32").tolist()[3:] == [2.0**-149, 2.0**-149]
    assert roundings(values, "F16").tolist()[3:] == [2.0**-24, 2.0**-24]


def entry(dtype="BF16", rank=4):
    base, tuned = (memory({"w": tensor(v, dtype)}) for v in merged(rank, dtype))
    return difference(base, tuned).entries["w"], tuned.specs["w"]


@pytest.mark.parametrize(("dtype", "stored"), [("BF16", "F16"), ("F16", "F16"), ("F32", "F32")])
def test_factors_are_stored_as_finely_as_the_weights_ask(dtype, stored):
    made, spec = entry(dtype)
    found = recognised(made, made.parts[0].term.rows(0, 200), 10**6)
    assert found.bands == ((stored, 4),)
    assert recognised(made, made.parts[0].term.rows(0, 200), found.nbytes - 1) is None
    alone = Entry(spec, 200, (Part(1.0, Dense.of(made.parts[0].term.rows, spec)),))
    assert recognised(alone, made.parts[0].term.rows(0, 200), 10**6) is None  # whose rounding is not known
    assert recognised(Entry(spec, 200, (Part(0.5, made.parts[0].term),)), alone.terms[0].rows(0, 200), 10**6) is None


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_a_lora_fine_tune_compresses_to_its_factors(tmp_path, dtype):
    """Done when: without loss beyond rounding, in the bytes of the factors, whatever codec was asked for."""
    base = open_checkpoint(tiny_llama(tmp_path / "base", seed=1, width=64))
    tuned = {n: tensor(read(base, n), dtype) for n in base.specs}
    adapted = [n for n in base.specs if "_proj" in n]
    for i, name in enumerate(adapted):
        rows, columns = base.specs[name].shape
        product = normal((rows, 2), 10 + i, 0.02) @ normal((2, columns), 90 + i, 0.1)
        tuned[name] = tensor(read(base, name) + product, dtype)
    model = memory(tuned)
    operands = Operands(base, difference(base, model), (base,), ())
    made = compress(operands, Request("", "", tmp_path / "a", "svd_mixed", ratio=5, threads=1))
    assert {made.kinds[n] for n in adapted} == {"lowrank"}
    restored = Applied(base, open_delta(tmp_path / "a").bind(base))
    for name in adapted:
        spec = base.specs[name]
        bands = open_delta(tmp_path / "a").entries[name].parts[0].term.bands
        assert [rank for _, rank in bands] == [2], spec
        got, want = (to_float32(bytes(m.buffer(name)), dtype) for m in (restored, model))
        assert np.mean(got != want) < 0.1
        noise = np.square(roundings(want, dtype), dtype=np.float64).mean() / 12
        assert np.square(got - want, dtype=np.float64).mean() < noise


def read(source, name):
    spec = source.specs[name]
    return to_float32(bytes(source.buffer(name)), spec.dtype).reshape(spec.shape)
