"""The lossless form is chosen by what it takes."""

import numpy as np
import pytest

from deltakit.delta.terms import lossless as chosen
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.lossless import lossless
from support.tensors import bits, memory, normal, tensor


def models(step, share=1.0, shape=(256, 128), dtype="BF16"):
    values = normal(shape, 0, 0.02)
    moved = np.random.default_rng(5).random(shape) < share
    base = memory({"w": tensor(values, dtype)})
    start = np.frombuffer(base.buffer("w"), "<u2").astype(np.uint32) << 16
    values = start.view(np.float32).reshape(shape) if dtype == "BF16" else values
    return base, memory({"w": tensor(values + moved * normal(shape, 1, step), dtype)})


@pytest.mark.parametrize(
    ("step", "share", "kind"), [(1e-3, 1.0, "ranged"), (1e-2, 0.004, "changes"), (0.0, 1.0, "exact")]
)
@pytest.mark.parametrize("chunk", [1 << 18, 4096])
def test_the_smallest_form(step, share, kind, chunk, monkeypatch):
    """Also where only a sample is tried."""
    monkeypatch.setattr(chosen, "CHUNK", chunk)
    base, tuned = models(step, share)
    made = lossless(base, tuned, "w", tuned.specs["w"])
    assert made.kind == kind
    assert bytes(made.bits(0, 256)) == bytes(tuned.buffer("w"))
    assert made.nbytes <= Exact.of(base, tuned, "w", tuned.specs["w"]).nbytes


def test_integers_and_tiny_tensors_are_taken_as_they_come():
    base, tuned = (memory({"w": bits(np.arange(12).reshape(4, 3) * n, "I64")}) for n in (1, 2))
    assert bytes(lossless(base, tuned, "w", tuned.specs["w"]).bits(0, 4)) == bytes(tuned.buffer("w"))
    one, two = (memory({"w": tensor(v)}) for v in (1.0, 2.0))
    made = lossless(one, two, "w", two.specs["w"])
    assert bytes(made.bits(0, 1)) == bytes(two.buffer("w"))


def test_an_empty_tensor():
    base = memory({"w": tensor(np.empty((0, 3)))})
    assert lossless(base, base, "w", base.specs["w"]).nbytes < 16
