"""Models of one shape that are run with different settings: refused with every key, harmless keys left alone."""

import json

import pytest

from deltakit.errors import MismatchError
from deltakit.merge.sources.drift import check_drift, drift
from support.cli import call
from support.models import llama_config, tiny_llama, tiny_tuned

CONFIG = llama_config()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rope_theta", 500000.0), ("hidden_act", "gelu"), ("rms_norm_eps", 1e-6), ("num_attention_heads", 8),
        ("num_key_value_heads", 4), ("head_dim", 16), ("tie_word_embeddings", True), ("model_type", "mistral"),
        ("attention_bias", True), ("layer_types", ["full_attention"] * 2), ("sliding_window", 64),
        ("partial_rotary_factor", 0.5), ("num_experts_per_tok", 4), ("some_new_scale", 2.0),
    ],
)  # fmt: skip
def test_settings_that_matter(key, value):
    base = {**CONFIG, "sliding_window": 32, "partial_rotary_factor": 1.0, "num_experts_per_tok": 2}
    base |= {"layer_types": ["full_attention", "sliding_attention"], "some_new_scale": 1.0}
    assert drift(base, {**base, key: value}) == {key: (base.get(key), value)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_name_or_path", "/home/x"), ("architectures", ["LlamaForSequenceClassification"]), ("torch_dtype", "float16"),
        ("use_cache", False), ("transformers_version", "5.0"), ("eos_token_id", 7), ("pad_token_id", None),
        ("vocab_size", 99), ("max_position_embeddings", 512), ("id2label", {"0": "A"}), ("attention_dropout", 0.1),
        ("initializer_range", 0.01), ("resid_pdrop", 0.1), ("temperature", 0.6), ("quantization_config", {"a": 1}),
        ("attention_bias", False), ("new_key", None), ("another", 3), ("head_dim", None),
    ],
)  # fmt: skip
def test_settings_that_do_not(key, value):
    assert drift(CONFIG, {**CONFIG, key: value}) == {}
    assert drift({**CONFIG, key: value}, CONFIG) == {}


def without(config, *keys):
    return {k: v for k, v in config.items() if k not in keys}


def test_older_and_newer_rotary_settings_are_one():
    plain = without(CONFIG, "rope_theta")
    newer = {**plain, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}}
    assert drift(CONFIG, newer) == {}
    assert drift(plain, newer) == {}
    assert drift({**CONFIG, "rope_scaling": None}, newer) == {}
    scaled = {**CONFIG, "rope_scaling": {"type": "linear", "factor": 2.0}}
    assert drift(scaled, {**plain, "rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 2}}) == {}
    assert drift(newer, scaled) == {"rope_scaling.factor": (None, 2.0), "rope_type": ("default", "linear")}
    far = {**plain, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}
    assert drift(CONFIG, far) == {"rope_theta": (1e4, 1e6)}
    assert drift(plain, far) == {"rope_theta": (None, 1e6)}


def test_rotary_settings_by_kind_of_layer_are_compared_as_they_are():
    kinds = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    other = {**kinds, "full_attention": {"rope_theta": 1e5}}
    assert drift({"rope_parameters": kinds}, {"rope_parameters": kinds}) == {}
    assert list(drift({"rope_parameters": kinds}, {"rope_parameters": other})) == [
        "rope_parameters.full_attention.rope_theta"
    ]


def test_heads_that_one_configuration_leaves_to_their_defaults():
    assert drift(without(CONFIG, "head_dim"), CONFIG) == {}
    assert drift(without(CONFIG, "num_key_value_heads"), CONFIG) == {"num_key_value_heads": (4, 2)}


def test_a_window_that_is_not_used_does_not_matter():
    base = {**CONFIG, "use_sliding_window": False, "sliding_window": 32, "max_window_layers": 2}
    assert drift(base, {**base, "sliding_window": 64, "max_window_layers": 1}) == {}
    used = {**base, "use_sliding_window": True}
    assert list(drift(used, {**used, "sliding_window": 64})) == ["sliding_window"]


def test_a_language_model_and_one_within_a_model_of_several_towers():
    tower = {"model_type": "thing", "text_config": {**CONFIG, "model_type": "thing_text"}, "vision_config": {"a": 1}}
    assert drift(CONFIG, tower) == drift(tower, CONFIG) == {}
    tower["text_config"]["rope_theta"] = 5e5
    assert drift(CONFIG, tower) == {"rope_theta": (1e4, 5e5)}
    assert drift(tower, {**tower, "vision_config": {"a": 2}}) == {"vision_config.a": (1, 2)}


def test_every_key_of_every_model_is_said_at_once():
    models = [("one", {**CONFIG, "rope_theta": 5e5, "hidden_act": "gelu"}), ("two", {**CONFIG, "rms_norm_eps": 1e-6})]
    with pytest.raises(MismatchError, match="different settings") as caught:
        check_drift(CONFIG, [*models, ("three", None), ("four", CONFIG)])
    assert caught.value.details == (
        "one: hidden_act is 'gelu', in the base 'silu'",
        "one: rope_theta is 500000.0, in the base 10000.0",
        "two: rms_norm_eps is 1e-06, in the base 1e-05",
    )
    assert "--allow-config-drift (in a recipe: allow_config_drift: true)" in caught.value.remedy
    assert check_drift(CONFIG, models, allow=True) == caught.value.details
    assert check_drift(None, models) == ()
    assert check_drift(CONFIG, models[1:], ignore=["rms_norm_eps"]) == ()


def test_a_merge_refuses_drift_unless_allowed(tmp_path):
    base = tiny_llama(tmp_path / "base")
    one = tiny_tuned(base, tmp_path / "one")
    config = json.loads((one / "config.json").read_text())
    (one / "config.json").write_text(json.dumps({**config, "rope_theta": 5e5, "hidden_act": "gelu"}))
    argv = ("merge", "--base", base, "--model", f"math={one}", "-o", tmp_path / "out")
    done = call(*argv)
    assert done.code == 3
    assert "math: rope_theta is 500000.0, in the base 10000.0" in done.err
    assert "math: hidden_act is 'gelu'" in done.err
    assert not (tmp_path / "out").exists()
    done = call(*argv, "--allow-config-drift", "--format", "json")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["warnings"]) == 2
