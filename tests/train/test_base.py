"""The base made ready: padding policies, context, adapters."""

import json

import pytest
import torch

from deltakit.errors import InputError, RecipeError
from deltakit.train.base import load_trainable, open_base
from support.training import recipe


def test_float32_weights_that_learn(small, data):
    made = recipe(small, data)
    model = load_trainable(open_base(made), made)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in model.parameters())
    assert model.training
    assert model.config.max_position_embeddings == 512


def test_a_known_padding_token_is_kept(small, data):
    base = open_base(recipe(small, data))
    assert (base.pad, base.rows, base.pad_changed) == (3, 88, False)


def test_a_new_padding_row_is_the_mean_row(padless, data):
    made = recipe(padless, data)
    base = open_base(made)
    assert (base.pad, base.rows, base.tokenizer.pad_token, base.pad_changed) == (88, 89, "[PAD]", True)
    model = load_trainable(base, made)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        assert layer.weight.shape[0] == 89
        assert torch.allclose(layer.weight[88], layer.weight[:88].mean(0), atol=1e-7)
    assert model.config.vocab_size == 89


@pytest.mark.parametrize(("policy", "pad"), [("eos", 2), ("<unk>", 0)])
def test_a_token_of_the_vocabulary_may_pad(padless, data, policy, pad):
    base = open_base(recipe(padless, data, tokens={"pad_token": policy}))
    assert (base.pad, base.rows) == (pad, 88)


def test_an_adapter_pads_with_eos(padless, data):
    assert open_base(recipe(padless, data, lora={"r": 2})).pad == 2


def test_an_unknown_padding_token_is_refused(padless, data):
    with pytest.raises(RecipeError, match="not in the vocabulary"):
        open_base(recipe(padless, data, tokens={"pad_token": "<nothing>"}))


def test_a_length_beyond_the_context_is_refused(small, data):
    with pytest.raises(RecipeError, match="above the model's context of 512"):
        open_base(recipe(small, data, tokens={"max_length": 513}))


def test_a_missing_base_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_base(recipe(tmp_path / "nowhere", data))


def test_a_model_without_rotary_context_is_refused(small, data, tmp_path):
    import shutil

    folder = shutil.copytree(small, tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    del config["max_position_embeddings"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RecipeError, match="no max_position_embeddings"):
        open_base(recipe(folder, data))


def test_lora_freezes_the_base_and_repeats(small, data):
    made = recipe(small, data, lora={"r": 2, "target_modules": ["q_proj", "v_proj"]})
    state = torch.random.get_rng_state()
    models = [load_trainable(open_base(made), made) for _ in range(2)]
    assert torch.equal(state, torch.random.get_rng_state())
    learning = [{n: p for n, p in m.named_parameters() if p.requires_grad} for m in models]
    assert {n.split(".")[-3] for n in learning[0]} == {"lora_A", "lora_B"}
    assert len(learning[0]) == 4
    assert all(torch.equal(learning[0][n], learning[1][n]) for n in learning[0])


def test_lora_on_no_module_is_refused(small, data):
    made = recipe(small, data, lora={"target_modules": ["nothing_here"]})
    with pytest.raises(RecipeError, match="lora.target_modules"):
        load_trainable(open_base(made), made)


def test_activations_may_be_recomputed(small, data):
    made = recipe(small, data, train={"gradient_checkpointing": True})
    model = load_trainable(open_base(made), made)
    assert model.model.layers[0].gradient_checkpointing
