"""Dense terms round once to the dtype they are stored in."""

import numpy as np

from deltakit.delta.terms.dense import Dense
from deltakit.tensors import TensorSpec, from_float32, to_float32
from support.tensors import normal


def test_float32_is_lossless_and_bf16_is_rounded_once():
    values = normal((6, 4), 0)
    spec = TensorSpec((6, 4), "F32")
    assert (Dense.of(lambda lo, hi: values[lo:hi], spec).rows(0, 6) == values).all()
    rounded = to_float32(from_float32(values, "BF16"), "BF16").reshape(6, 4)
    half = Dense.of(lambda lo, hi: values[lo:hi], spec, "BF16")
    assert (half.rows(0, 6) == rounded).all()
    assert not np.array_equal(rounded, values)
    assert half.save()[0] == {"t": "BF16"}
