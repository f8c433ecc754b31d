import pytest
import torch

from deltakit.errors import MismatchError
from deltakit.runtime.load import load_model
from deltakit.runtime.swap import swappable, write_weights
from support.running import sidecar, state, tensor_map

IDS = torch.tensor([[1, 5, 9, 30]])


@pytest.mark.parametrize("tied", [True, False])
def test_a_swapped_model_equals_one_built_anew_and_keeps_its_storage(tied: bool) -> None:
    first = load_model(tensor_map(state(0, tie_word_embeddings=tied)), sidecar(tie_word_embeddings=tied))
    second = tensor_map(state(1, tie_word_embeddings=tied))
    before = {n: p.data_ptr() for n, p in first.named_parameters()}
    write_weights(first, second)
    fresh = load_model(second, sidecar(tie_word_embeddings=tied))
    assert {n: p.data_ptr() for n, p in first.named_parameters()} == before
    assert torch.equal(first(input_ids=IDS).logits, fresh(input_ids=IDS).logits)


def test_values_are_rounded_once_to_the_models_dtype() -> None:
    model = load_model(tensor_map(state(0)), sidecar(), dtype="bfloat16")
    weights = state(1)
    write_weights(model, tensor_map(weights))
    name = "model.layers.1.self_attn.q_proj.weight"
    assert torch.equal(model.state_dict()[name], weights[name].bfloat16())


def test_what_does_not_fit_is_listed_and_nothing_is_written() -> None:
    model = load_model(tensor_map(state(0)), sidecar())
    before = {n: t.clone() for n, t in model.state_dict().items()}
    weights = state(1)
    del weights["model.norm.weight"]
    weights["model.extra"] = torch.zeros(1)
    weights["model.embed_tokens.weight"] = torch.zeros(321, 48)
    wrong = [
        "no place for model.extra",
        "model.embed_tokens.weight is [321, 48], the model holds [320, 48]",
        "nothing to write into model.norm.weight",
    ]
    assert swappable(model, tensor_map(weights)) == wrong
    with pytest.raises(MismatchError, match="nothing to write"):
        write_weights(model, tensor_map(weights))
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


def test_an_untied_head_does_not_fit_a_tied_model_unless_it_is_the_embedding() -> None:
    model = load_model(tensor_map(state(0)), sidecar())
    weights = state(1)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    assert swappable(model, tensor_map(weights)) == []
    weights["lm_head.weight"][0, 0] += 1
    assert swappable(model, tensor_map(weights)) == [
        "model.embed_tokens.weight and lm_head.weight differ, the model ties them"
    ]
