"""A copy is found by a few rows."""

import numpy as np

from deltakit.delta.terms.likeness import like
from support.tensors import bits, memory, normal, tensor


def base():
    return memory({
        "embed": tensor(normal((300, 32), 0)), "a": tensor(normal((64, 32), 1)), "b": tensor(normal((64, 32), 2)),
        "wide": tensor(normal((64, 64), 3)), "float": tensor(normal((64, 32), 4), "F32"),
    })  # fmt: skip


def found(values, dtype="BF16"):
    tuned = memory({"x": tensor(values, dtype)})
    return like(base(), tuned, "x", tuned.specs["x"])


def test_the_nearest_is_found_equal_or_trained_on():
    assert found(normal((64, 32), 2)) == ("b", 0)
    assert found(normal((64, 32), 1) + normal((64, 32), 9, 0.05)) == ("a", 0)
    assert found(normal((300, 32), 0)[:40]) == ("embed", 0)
    assert found(normal((300, 32), 0)[-50:]) == ("embed", 250)


def test_strangers_are_not():
    assert found(normal((64, 32), 77)) is None
    assert found(normal((301, 32), 0)) is None
    assert found(normal((64, 32), 4)) is None  # another dtype
    assert found(np.full((64, 32), np.nan)) is None
    assert found(np.zeros((64, 32))) is None


def test_neither_small_tensors_nor_integers_nor_the_tensor_itself():
    assert found(normal((64, 32), 2)[:16]) is None
    numbers = memory({"x": bits(np.arange(4096).reshape(64, 64), "I64")})
    assert like(numbers, numbers, "x", numbers.specs["x"]) is None
    assert like(base(), base(), "a", base().specs["a"]) is None


def test_rows_behind_a_start():
    values = np.concatenate([normal((10, 32), 8), normal((64, 32), 1)])
    tuned = memory({"x": tensor(values)})
    assert like(base(), tuned, "x", tuned.specs["x"].with_rows(64), 10) == ("a", 0)
