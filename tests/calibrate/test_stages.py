from __future__ import annotations

import pytest
from torch import nn

from deltakit.calibrate.stages import cut, layers_of
from support.architectures import KINDS, tiny

LAYERS = {"gpt2": "transformer.h", "bert": "encoder.layer"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_layers_are_found(kind: str) -> None:
    name, layers = layers_of(tiny(kind).model)
    assert name == LAYERS.get(kind, "model.layers")
    assert len(layers) == 2


def test_a_model_without_a_list_of_layers_has_none() -> None:
    name, layers = layers_of(nn.Sequential(nn.Linear(2, 2)))
    assert (name, len(layers)) == ("", 0)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_tensor_belongs_to_one_stage(kind: str) -> None:
    made = tiny(kind)
    first = frozenset(n for n in made.model.state_dict() if "emb" in n or "wte" in n or "wpe" in n)
    stages = cut(made.model, frozenset(made.tensors.specs), first)
    assert sorted(n for s in stages for n in s.names) == sorted(made.tensors.specs)
    assert [s.layer for s in stages] == [-1, 0, 1, 2]


def test_a_tied_head_needs_the_embedding() -> None:
    made = tiny("gemma3")
    stages = cut(made.model, frozenset(made.tensors.specs), frozenset({"model.embed_tokens.weight", "lm_head.weight"}))
    assert stages[0].names == ("model.embed_tokens.weight",)
    assert stages[-1].names == ("model.norm.weight",)
    assert set(stages[-1].needs) == {"model.embed_tokens.weight", "model.norm.weight"}


def test_the_layers_beside_the_token_embedding_are_the_model_s() -> None:
    """A vision tower may be larger than the language model that it serves."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vision = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(50, 50) for _ in range(4)])})
            self.text = nn.ModuleDict({"embed": nn.Embedding(5, 4), "layers": nn.ModuleList([nn.Linear(4, 4)])})

        def get_input_embeddings(self) -> nn.Module:
            return self.text["embed"]

    assert layers_of(Both())[0] == "text.layers"
