"""The schema of mergekit's configs: what it takes, what it refuses, what it tells aside."""

from __future__ import annotations

import pydantic
import pytest

from deltakit.merge.mergekit.reference import Reference
from deltakit.merge.mergekit.schema import Config, unknown_keys

LINEAR = {"merge_method": "linear", "models": [{"model": "a"}, {"model": "b", "parameters": {"weight": 1}}]}


def made(**more):
    return Config.model_validate({**LINEAR, **more})


def refused(data):
    with pytest.raises(pydantic.ValidationError) as caught:
        Config.model_validate(data)
    return "; ".join(e["msg"] for e in caught.value.errors())


def test_a_whole_config():
    config = made(
        base_model={"model": {"path": "c", "revision": "r"}, "lora": "d"},
        parameters={"normalize": True, "t": [0, 1]},
        dtype="torch.bfloat16",
        out_dtype="float16",
        tokenizer={
            "source": "a",
            "tokens": {
                "<x>": {"source": "b", "force": True},
                "<y>": {"source": {"kind": "zero"}},
                "<z>": {"source": {"kind": "model_token", "model": "b", "token_id": 3}},
            },
            "pad_to_multiple_of": 8,
        },
        chat_template="auto",
        name="stage",
    )
    assert config.base_model == Reference("c@r", "d")
    assert (config.dtype, config.out_dtype) == ("BF16", "F16")
    tokens = config.tokenizer.tokens
    assert tokens["<x>"].source == Reference("b")
    assert tokens["<y>"].source == {"kind": "zero"}
    assert tokens["<z>"].source == {"kind": "model_token", "model": Reference("b"), "token_id": 3}
    assert list(unknown_keys(config)) == []


def test_slices_and_modules():
    slices = [{"sources": [{"model": "a", "layer_range": [0, 4]}], "parameters": {"scale": 2}}]
    config = Config.model_validate({"merge_method": "passthrough", "modules": {"text_decoder": {"slices": slices}}})
    assert config.modules["text_decoder"].slices[0].sources[0].layer_range == (0, 4)


@pytest.mark.parametrize("source", ["union", "base"])
def test_words_of_tokenizer_source_are_no_models(source):
    assert made(tokenizer_source=source).tokenizer_source == source
    assert made(tokenizer_source="a").tokenizer_source == Reference("a")
    assert made(tokenizer_source=None).tokenizer_source is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"slices": [{"sources": [{"model": "a", "layer_range": [0, 1]}]}]}, "found models, slices"),
        ({"models": None}, "found none"),
        ({"models": []}, "name at least one"),
        ({"models": [{"parameters": {}}]}, "Field required"),
        ({"models": [{"model": "a", "parameters": {"weight": None}}]}, "found nothing"),
        ({"merge_method": 3}, "valid string"),
        ({"dtype": "int64"}, "holds no weights"),
        ({"dtype": "bloat16"}, "unknown dtype"),
        ({"tokenizer_source": "union", "tokenizer": {"source": "base"}}, "give one of them"),
        ({"tokenizer": {"tokens": {"x": {"source": {"kind": "one"}}}}}, "kind is zero or model_token"),
        ({"tokenizer": {"tokens": {"x": {"source": {"kind": "zero", "model": "a"}}}}}, "unknown model"),
        ({"tokenizer": {"tokens": {"x": {"source": {"kind": "model_token", "model": "a"}}}}}, "takes one of"),
        ({"models": None, "modules": {"m": {}}}, "exactly one of models and slices"),
        ({"models": None, "slices": [{"sources": [{"model": "a", "layer_range": [2, 2]}]}]}, "holds no layers"),
        ({"models": None, "slices": [{"sources": [{"model": "a"}]}]}, "Field required"),
        ({"models": None, "slices": [{"sources": []}]}, "name at least one"),
    ],
)
def test_what_does_not_fit_is_refused(more, said):
    assert said in refused({**LINEAR, **more})


def test_unknown_keys_are_told_with_their_place_and_a_guess():
    config = made(parametres={}, models=[{"model": "a", "wieght": 1}])
    assert list(unknown_keys(config)) == [
        (("parametres",), "did you mean 'parameters'?"),
        (("models", 0, "wieght"), "known: model, parameters"),
    ]
