"""Range-coded terms give back the tuned bits."""

import pytest

from deltakit.delta.terms.ranged import Ranged
from deltakit.errors import CheckpointError, MismatchError
from support.tensors import memory, normal, tensor


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("under", ["BF16", "F32"])
def test_tuned_bits_come_back(dtype, under):
    """Also where the base has another dtype."""
    values = normal((30, 20), 0)
    base = memory({"w": tensor(values, under)})
    tuned = memory({"w": tensor(values + normal((30, 20), 1, 0.01), dtype)})
    made = Ranged.of(base, tuned, "w", tuned.specs["w"])
    again = Ranged.load(*[made.save()[0], memoryview(made.save()[1])], tuned.specs["w"])
    with pytest.raises(MismatchError, match="without its base"):
        again.rows(0, 1)
    bound = again.bind(base, "w")
    assert bytes(bound.bits(0, 30)) == bytes(tuned.buffer("w"))
    assert bytes(bound.bits(7, 9)) == bytes(tuned.buffer("w", 7, 9))
    assert bound.nbytes == len(made.save()[1])


def test_a_payload_of_another_shape_is_refused():
    base, tuned = (memory({"w": tensor(normal((40, 9), i))}) for i in (0, 1))
    made = Ranged.of(base, tuned, "w", tuned.specs["w"])
    with pytest.raises(CheckpointError):
        Ranged.load({}, made.payload[:-1], tuned.specs["w"])
