import pytest
import torch

from deltakit.errors import CheckpointError, MismatchError
from deltakit.runtime.load import load_model, stored_dtype
from support.running import sidecar, state, tensor_map


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.tensor([[1, 5, 9, 30]])).logits
    return found


def test_the_model_computes_as_one_built_by_transformers() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from support.running import CONFIG

    weights = state()
    reference = LlamaForCausalLM(LlamaConfig(**CONFIG))
    reference.load_state_dict(weights, strict=False)
    reference.tie_weights()
    model = load_model(tensor_map(weights), sidecar())
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert torch.equal(logits(model), logits(reference.eval()))


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_the_dtype_is_the_stored_one_unless_named(stored: torch.dtype) -> None:
    tensors = tensor_map({n: t.to(stored) for n, t in state(spread=0.1).items()})
    assert load_model(tensors, sidecar()).dtype == stored
    assert load_model(tensors, sidecar(), dtype="float32").dtype == torch.float32


def test_the_stored_dtype_is_that_of_most_elements() -> None:
    weights = {"a": torch.zeros(10, dtype=torch.bfloat16), "b": torch.zeros(3), "c": torch.zeros(99, dtype=torch.int64)}
    assert stored_dtype(tensor_map(weights)) == "BF16"
    assert stored_dtype(tensor_map({"c": torch.zeros(9, dtype=torch.int64)})) == "F32"


def test_an_untied_head_is_loaded() -> None:
    weights = state(tie_word_embeddings=False)
    model = load_model(tensor_map(weights), sidecar(tie_word_embeddings=False))
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])
    assert not torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


def test_every_missing_unexpected_and_misshapen_tensor_is_named() -> None:
    weights = state()
    del weights["model.norm.weight"]
    weights["model.extra.weight"] = torch.zeros(3)
    weights["model.layers.0.mlp.up_proj.weight"] = torch.zeros(5, 48)
    with pytest.raises(MismatchError) as caught:
        load_model(tensor_map(weights), sidecar())
    assert caught.value.details == (
        "missing: model.norm.weight",
        "unexpected: model.extra.weight [3]",
        "shape: model.layers.0.mlp.up_proj.weight is [5, 48], the config says [96, 48]",
    )


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), None), (float("inf"), None), (1e6, "float16")])
def test_a_weight_that_is_not_finite_is_refused(value: float, dtype: str | None) -> None:
    weights = state()
    weights["model.norm.weight"][3] = value
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight.*not finite"):
        load_model(tensor_map(weights), sidecar(), dtype=dtype)


def test_transformers_stays_quiet_and_its_settings_return(capsys: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_model(tensor_map(state()), sidecar())
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capsys.readouterr().err == ""
