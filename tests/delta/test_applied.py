"""base + delta as a model: ranges, dtypes and files."""

import numpy as np
import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entry, Part, scale
from deltakit.delta.terms.dense import Dense
from deltakit.errors import MismatchError
from deltakit.tensors import Mapped, TensorMap, TensorSpec, from_float32, to_float32
from support.tensors import memory, normal, pair, tensor


def test_it_is_a_tensor_map():
    base, tuned = pair()
    assert isinstance(Applied(base, difference(base, tuned)), TensorMap)


def test_any_range_is_a_slice_of_the_whole():
    base = memory({"e": tensor(normal((6, 3), 0))})
    tuned = memory({"e": tensor(normal((9, 3), 1))})
    model = Applied(base, scale(difference(base, tuned), 0.7))
    everything = bytes(model.buffer("e"))
    for lo in range(10):
        for hi in range(lo, 10):
            assert bytes(model.buffer("e", lo, hi)) == everything[lo * 6 : hi * 6]


def test_the_sum_is_taken_in_float32_in_the_tuned_dtype():
    base = memory({"w": tensor(normal((4, 3), 0), "F32")})
    change = normal((4, 3), 1)
    spec = TensorSpec((4, 3), "BF16")
    delta = Delta({"w": Entry(spec, 4, (Part(1.0, Dense.of(lambda lo, hi: change[lo:hi], spec)),))})
    base_bf16 = to_float32(from_float32(normal((4, 3), 0), "BF16"), "BF16").reshape(4, 3)
    want = np.ascontiguousarray(from_float32(base_bf16 + change, "BF16")).tobytes()
    assert bytes(Applied(base, delta).buffer("w")) == want


def test_an_untouched_tensor_is_the_base_s():
    base = memory({"w": tensor(normal((4, 3), 0))})
    delta = Delta({"w": Entry(base.specs["w"], 4)})
    assert bytes(Applied(base, delta).buffer("w")) == bytes(base.buffer("w"))


def test_files_of_the_fine_tune_cover_those_of_the_base():
    class Checkpoint(Mapped):
        sidecar = Sidecar({"config.json": b"{}", "LICENSE": b"MIT"})

    base, tuned = pair()
    base = Checkpoint(base.specs, base.pull)
    delta = difference(base, tuned)
    with_files = Delta(delta.entries, delta.missing, delta.lineage, Sidecar({"config.json": b'{"a": 1}'}))
    assert Applied(base, with_files).sidecar.files == {"config.json": b'{"a": 1}', "LICENSE": b"MIT"}


def test_a_delta_of_other_shapes_is_refused():
    base = memory({"w": tensor(normal((4, 3), 0))})
    delta = Delta({"w": Entry(TensorSpec((4, 2), "BF16"), 4)})
    with pytest.raises(MismatchError, match="does not fit") as wrong:
        Applied(base, delta)
    assert wrong.value.details == ("w: base [4, 3], delta [4, 2]",)


def test_a_delta_that_needs_more_rows_than_the_base_has_is_refused():
    base = memory({"w": tensor(normal((4, 3), 0))})
    delta = Delta({"w": Entry(TensorSpec((6, 3), "BF16"), 6)})
    with pytest.raises(MismatchError, match="does not fit"):
        Applied(base, delta).buffer("w")
