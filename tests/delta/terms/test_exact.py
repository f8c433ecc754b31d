"""Exact terms give back the tuned bits, whatever they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.delta.terms.exact import Exact
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import ITEMSIZE, TensorSpec
from support.tensors import bits, memory, normal, tensor


@given(st.sampled_from(["BF16", "F16", "F32", "F64", "I64", "U8"]), st.integers(0, 2**32 - 1))
def test_any_bits_come_back(dtype, seed):
    """Also NaN payloads, infinities, negative zeros: pairs that are no fine-tunes of each other."""
    rng = np.random.default_rng(seed)
    top = 2 ** (8 * ITEMSIZE[dtype]) - 1
    base = memory({"w": bits(rng.integers(0, top, (5, 3), dtype=np.uint64, endpoint=True), dtype)})
    tuned = memory({"w": bits(rng.integers(0, top, (5, 3), dtype=np.uint64, endpoint=True), dtype)})
    term = Exact.of(base, tuned, "w", tuned.specs["w"])
    again = Exact.load(*[term.save()[0], memoryview(term.save()[1])], tuned.specs["w"]).bind(base, "w")
    assert bytes(again.bits(0, 5)) == bytes(tuned.buffer("w"))
    assert bytes(again.bits(2, 4)) == bytes(tuned.buffer("w", 2, 4))


def test_a_base_in_another_dtype():
    base = memory({"w": tensor(normal((6, 4), 0), "F32")})
    tuned = memory({"w": tensor(normal((6, 4), 1), "BF16")})
    term = Exact.of(base, tuned, "w", tuned.specs["w"])
    assert bytes(term.bits(0, 6)) == bytes(tuned.buffer("w"))


def test_a_fine_tune_costs_less_than_its_weights():
    """Small steps change low bits: the high byte plane is nearly all zero."""
    values = normal((256, 256), 0)
    base = memory({"w": tensor(values)})
    tuned = memory({"w": tensor(values + normal((256, 256), 1, 0.001))})
    term = Exact.of(base, tuned, "w", tuned.specs["w"])
    assert term.nbytes < 0.5 * tuned.specs["w"].nbytes
    assert not term.is_zero
    assert Exact.of(base, base, "w", base.specs["w"]).is_zero


def test_without_its_base_it_says_so():
    base = memory({"w": tensor([1.0])})
    term = Exact(TensorSpec((1,), "BF16"), memoryview(Exact.of(base, base, "w", base.specs["w"]).payload))
    with pytest.raises(MismatchError, match="without its base"):
        term.rows(0, 1)


def test_a_payload_of_another_shape_is_refused():
    base = memory({"w": tensor(normal((4, 4), 0))})
    tuned = memory({"w": tensor(normal((4, 4), 1))})
    payload = Exact.of(base, tuned, "w", tuned.specs["w"]).payload
    with pytest.raises(CheckpointError):
        Exact.load({}, payload, TensorSpec((4, 4), "F32"))
