from __future__ import annotations

import pytest
import torch

from deltakit.errors import MismatchError
from deltakit.runtime.hollow import hollow_model, hollow_out, weights_of
from deltakit.tensors import TensorSpec
from support.architectures import KINDS, tiny


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_frame_has_every_shape_and_no_memory(kind: str) -> None:
    made = tiny(kind)
    model = hollow_model(made.tensors.specs, made.sidecar)
    weights = weights_of(model)
    assert {n: w.shape for n, w in weights.items()} == {n: w.shape for n, w in made.model.state_dict().items()}
    assert sum(w.untyped_storage().nbytes() for w in weights.values()) == 4 * len(weights)
    assert not model.training
    assert not model.config.use_cache


def test_buffers_are_real() -> None:
    made = tiny("llama")
    model = hollow_model(made.tensors.specs, made.sidecar)
    assert torch.equal(model.model.rotary_emb.inv_freq, made.model.model.rotary_emb.inv_freq)


def test_what_does_not_fit_is_named() -> None:
    made = tiny("llama")
    specs = {**made.tensors.specs, "model.norm.weight": TensorSpec((5,), "F32"), "odd": TensorSpec((2,), "F32")}
    with pytest.raises(MismatchError) as caught:
        hollow_model(specs, made.sidecar)
    assert any("model.norm.weight" in d for d in caught.value.details)
    assert any("odd" in d for d in caught.value.details)


def test_weights_can_be_let_go_again() -> None:
    model = tiny("llama").model
    hollow_out(model, ["model.norm.weight"])
    norm, head = model.model.norm.weight, model.lm_head.weight
    assert norm.untyped_storage().nbytes() == 4
    assert norm.shape == (16,)
    assert head.untyped_storage().nbytes() == head.numel() * 4
