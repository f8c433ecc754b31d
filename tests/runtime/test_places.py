from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.runtime.hollow import hollow_model, weights_of
from deltakit.runtime.places import Place, find_places
from deltakit.tensors import read
from support.architectures import KINDS, Tiny, tiny


def places(made: Tiny) -> dict[str, Place]:
    return find_places(made.model, weights_of(made.model), made.tensors.specs)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_checkpoint_put_in_place_is_the_model(kind: str) -> None:
    """Packed experts and all: every weight of the model comes out of the checkpoint's tensors, bit for bit."""
    made = tiny(kind)
    model = hollow_model(made.tensors.specs, made.sidecar)
    weights = weights_of(model)
    filled = {n: torch.full(w.shape, torch.nan) for n, w in weights.items()}
    found = find_places(model, weights, made.tensors.specs)
    for name in made.tensors.specs:
        found[name].put(filled[found[name].weight], read(made.tensors, name))
    for name, want in made.model.state_dict().items():
        if name != "lm_head.weight" or "lm_head.weight" in made.tensors.specs:
            assert torch.equal(filled[name], want), name


def test_experts_lie_in_slices_of_one_weight() -> None:
    found = places(tiny("qwen3_moe"))
    up, gate = (found[f"model.layers.1.mlp.experts.2.{n}_proj.weight"] for n in ("up", "gate"))
    assert up.weight == gate.weight == "model.layers.1.mlp.experts.gate_up_proj"
    assert [i.tolist() for i in gate.index] == [[2], list(range(8)), list(range(16))]
    assert [i.tolist() for i in up.index] == [[2], list(range(8, 16)), list(range(16))]
    assert up.axes == (1, 2)
    assert not up.whole


def test_a_missing_prefix_is_found() -> None:
    made = tiny("gpt2", rename=lambda n: n.removeprefix("transformer."))
    found = places(made)
    assert found["h.0.attn.c_attn.weight"].weight == "transformer.h.0.attn.c_attn.weight"
    assert set(made.tensors.specs) <= set(found)


def test_scattered_and_transposed_elements_are_written() -> None:
    weight = torch.zeros(2, 3, 4)
    place = Place("w", (np.array([1]), np.array([0, 2]), np.array([3, 0, 1])), (2, 1), False)
    values = torch.arange(6.0).reshape(3, 2)
    place.put(weight, values)
    for i, column in enumerate([3, 0, 1]):
        for j, row in enumerate([0, 2]):
            assert weight[1, row, column] == values[i, j]
    assert weight.count_nonzero() == 5


def test_axes_of_length_one_are_kept() -> None:
    made = tiny("qwen3_moe", num_experts=1, num_experts_per_tok=1)
    found = places(made)["model.layers.0.mlp.experts.0.down_proj.weight"]
    assert found.axes == (1, 2)
