"""What all terms share that know the tuned bits."""

import numpy as np
import pytest

from deltakit.delta.terms.changes import Changes
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.ranged import Ranged
from deltakit.delta.terms.tied import base_bits, tuned_bits
from support.tensors import memory, normal, tensor


@pytest.mark.parametrize("form", [Exact, Ranged, Changes])
def test_rows_are_differences_and_gather_picks_them(form):
    values = normal((40, 6), 0)
    base = memory({"w": tensor(values)})
    tuned = memory({"w": tensor(values + normal((40, 6), 1, 0.1))})
    term = form.of(base, tuned, "w", tuned.specs["w"])
    whole = term.rows(0, 40)
    ids = [7, 39, 0, 7, 20]
    assert (term.gather(ids) == whole[ids]).all()
    assert term.gather([]).shape == (0, 6)
    wide = np.frombuffer(tuned.buffer("w"), "<u2").astype(np.uint32) << 16
    assert np.allclose(whole, wide.view(np.float32).reshape(40, 6) - to_float(base))


def to_float(base):
    return (np.frombuffer(base.buffer("w"), "<u2").astype(np.uint32) << 16).view(np.float32).reshape(40, 6)


def test_bits_in_the_tuned_dtype():
    base = memory({"w": tensor([[1.0], [2.0]], "F32")})
    assert base_bits(base, "w", 0, 2, "BF16").tolist() == [0x3F80, 0x4000]
    assert tuned_bits(base, "w", 1, 2).tolist() == [0x40000000]
