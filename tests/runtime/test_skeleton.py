import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import InputError, UnsafeError
from deltakit.runtime.skeleton import model_class, model_config
from support.running import sidecar


def test_the_architecture_of_the_config_is_taken() -> None:
    config = model_config(sidecar())
    assert config.hidden_size == 48
    assert model_class(config).__name__ == "LlamaForCausalLM"


def test_without_architectures_the_causal_model_of_the_type_is_taken() -> None:
    assert model_class(model_config(sidecar(architectures=None))).__name__ == "LlamaForCausalLM"


def test_keys_that_load_code_never_reach_transformers() -> None:
    config = model_config(sidecar(auto_map={"AutoModel": "evil.Model"}, _attn_implementation="someone/kernel"))
    assert not hasattr(config, "auto_map")
    assert config._attn_implementation != "someone/kernel"


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"model_type": "mystery"}, InputError, "'mystery'"),
        ({"model_type": "mystery", "auto_map": {"AutoModel": "m.M"}}, UnsafeError, "downloaded"),
        ({"quantization_config": {"quant_method": "gptq"}}, InputError, "quantised"),
    ],
)
def test_what_cannot_be_run_is_refused(changes: dict[str, object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        model_config(sidecar(**changes))


def test_a_missing_config_is_named() -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        model_config(Sidecar({}))


@pytest.mark.parametrize("name", ["NoSuchForCausalLM", "LlamaConfig", "__version__"])
def test_an_architecture_that_is_no_model_class_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="not in transformers"):
        model_class(model_config(sidecar(architectures=[name])))


def test_a_type_without_a_causal_model_is_refused() -> None:
    config = model_config(Sidecar({"config.json": b'{"model_type": "vit"}'}))
    with pytest.raises(InputError, match="no causal language model"):
        model_class(config)
