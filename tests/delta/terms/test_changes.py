"""Listed changes give back the tuned bits, in the few bytes that they are worth."""

import numpy as np
import pytest

from deltakit.delta.terms import changes
from deltakit.delta.terms.changes import Changes
from deltakit.errors import CheckpointError
from deltakit.tensors import numpy_bits
from support.tensors import bits, memory, normal, tensor


def sparse_pair(dtype="BF16", shape=(50, 40), share=0.02, seed=0):
    """A base and a model in which some elements moved by one unit in the last place."""
    rng = np.random.default_rng(seed)
    spec, raw = tensor(normal(shape, seed), dtype)
    values = np.frombuffer(raw, numpy_bits(dtype)).reshape(shape)
    moved = values + (rng.random(shape) < share).astype(values.dtype)
    return memory({"w": (spec, raw)}), memory({"w": bits(moved, dtype)})


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64", "U8"])
def test_tuned_bits_come_back(dtype, monkeypatch):
    monkeypatch.setattr(changes, "_CHUNK", 160)
    base, tuned = sparse_pair(dtype if dtype != "U8" else "BF16")
    if dtype == "U8":
        base, tuned = (memory({"w": bits(np.arange(2000).reshape(50, 40) // n % 7, "U8")}) for n in (90, 91))
    made = Changes.of(base, tuned, "w", tuned.specs["w"])
    again = Changes.load(*[made.save()[0], memoryview(made.save()[1])], tuned.specs["w"]).bind(base, "w")
    assert bytes(again.bits(0, 50)) == bytes(tuned.buffer("w"))
    for lo, hi in [(0, 1), (3, 5), (7, 30), (50, 50)]:
        assert bytes(again.bits(lo, hi)) == bytes(tuned.buffer("w", lo, hi))


def test_a_change_costs_its_place_and_its_step():
    base, tuned = sparse_pair(shape=(512, 512), share=0.001)
    made = Changes.of(base, tuned, "w", tuned.specs["w"])
    assert 8 * made.nbytes < 262144 * 0.001 * (np.log2(1000) + 1.5 + 4) + 1000


def test_no_element_and_no_change():
    base, tuned = (memory({"w": tensor(normal((0, 4), 0))}) for _ in range(2))
    assert bytes(Changes.of(base, tuned, "w", tuned.specs["w"]).bits(0, 0)) == b""
    base, tuned = sparse_pair(share=0.0)
    assert bytes(Changes.of(base, tuned, "w", tuned.specs["w"]).bits(0, 50)) == bytes(tuned.buffer("w"))


@pytest.mark.parametrize("cut", [0, 3, 9, -1])
def test_a_cut_payload_is_refused(cut):
    base, tuned = sparse_pair()
    payload = Changes.of(base, tuned, "w", tuned.specs["w"]).payload
    with pytest.raises(CheckpointError):
        Changes.load({}, payload[:cut], tuned.specs["w"])


def test_changes_outside_their_chunk_are_refused():
    base, tuned = sparse_pair()
    made = Changes.of(base, tuned, "w", tuned.specs["w"])
    small = Changes(tuned.specs["w"].with_rows(2), made.payload).bind(base, "w")
    with pytest.raises(CheckpointError, match="changes|outside"):
        small.bits(0, 2)
