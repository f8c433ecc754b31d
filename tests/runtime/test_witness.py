import pytest
import torch

from deltakit.errors import MismatchError
from deltakit.runtime.witness import Witness
from deltakit.tensors import read
from support.running import tensor_map


def content(tensors: dict[str, torch.Tensor]) -> str:
    witness = Witness(tensor_map(tensors))
    for name in witness.specs:
        read(witness, name)
    return witness.content()


WEIGHTS = {"a": torch.arange(12.0).reshape(4, 3), "b": torch.zeros(2), "c": torch.tensor(3.0)}


def test_every_byte_name_dtype_and_shape_counts() -> None:
    other = [
        {**WEIGHTS, "a": WEIGHTS["a"] + torch.eye(4, 3) * 1e-6},
        {**WEIGHTS, "a": WEIGHTS["a"].reshape(3, 4)},
        {"a": WEIGHTS["a"], "d": WEIGHTS["b"], "c": WEIGHTS["c"]},
        {**WEIGHTS, "b": torch.zeros(4, dtype=torch.float16)},
    ]
    assert content(WEIGHTS) == content({n: t.clone() for n, t in WEIGHTS.items()})
    assert len({content(WEIGHTS), *map(content, other)}) == 5


def test_a_tensor_read_in_part_is_not_vouched_for() -> None:
    witness = Witness(tensor_map(WEIGHTS))
    for name in ("b", "c"):
        read(witness, name)
    assert bytes(witness.buffer("a", 1, 4)) == WEIGHTS["a"][1:].numpy().tobytes()
    with pytest.raises(MismatchError, match="'a'"):
        witness.content()
