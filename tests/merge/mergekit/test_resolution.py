"""Precedence, gradients, filters and slices as mergekit 0.1.5 does them (the numbers were read off its outputs on
constant models), and what is refused."""

from __future__ import annotations

import pytest

from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.mergekit.stage import parse_config
from deltakit.merge.plan.blueprint import Read
from support.mergekit import llama, resolved, short, weights


def close(found, **expected):
    for name, value in expected.items():
        assert found[name.replace("__", ".")] == pytest.approx(value, abs=1e-7), name


def test_gradients_and_filters_under_models():
    made = resolved(
        "merge_method: linear\nmodels:\n- {model: zero, parameters: {weight: [1, 0, 0.5, 0]}}\n- model: one\n"
        "  parameters:\n    weight:\n    - {filter: self_attn, value: [0, 1]}\n"
        "    - {filter: mlp, value: [0.25, 0.5, 0.75]}\n    - value: 0.125\n"
    )
    found = weights(made, "one")
    close(found, lm_head=0.125, embed_tokens=0.125, norm=0.125, layers__0__input_layernorm=0.125)
    close(found, layers__0__mlp__up_proj=0.25, layers__1__mlp__up_proj=0.41666666, layers__3__mlp__up_proj=0.75)
    close(found, layers__1__self_attn__q_proj=0.33333334, layers__3__self_attn__q_proj=1.0)
    close(weights(made, "zero"), layers__1__mlp__up_proj=0.0, layers__2__mlp__up_proj=0.5, embed_tokens=1.0)


def test_outside_the_layers_the_paper_dialect_takes_both_ends():
    text = "merge_method: linear\nmodels:\n- model: a\n  parameters: {weight: [0.1, 0.9]}\n- model: b\n"
    made = resolved(text + "parameters: {weight: 1}\n")
    close(weights(made, "a"), embed_tokens=0.1, norm=0.9, lm_head=0.9)
    assert any(n.startswith("gradients: the final norm and the head take the last value") for n in made.notes)


def test_outside_the_layers_mergekits_dialect_takes_the_first_value():
    text = "merge_method: ties\nbase_model: z\nmodels:\n- {model: a, parameters: {weight: [0, 0.9]}}\n- model: b\n"
    made = resolved(
        text + "parameters: {weight: 1, density: [0.2, 0.4], lambda: 0.5, normalize: 1}\n", dialect="mergekit"
    )
    close(weights(made, "a"), embed_tokens=0, norm=0, lm_head=0, layers__3__mlp__up_proj=0.9)
    head = made.pieces["lm_head.weight"]
    assert (dict(head.parameters), head.scale) == ({"normalize": True}, 0.5)
    assert [dict(u.parameters) for u in head.uses] == [{"density": 0.2}] * 2
    assert made.notes == ("gradients: the final norm and the head take the first value, as in mergekit",)


def test_in_the_paper_dialect_a_weight_of_0_is_no_part_in_the_tensor():
    text = "merge_method: ties\nbase_model: z\nmodels:\n- {model: a, parameters: {weight: [0, 0.9]}}\n- model: b\n"
    made = resolved(text + "  parameters: {weight: [0, 0, 0, 1]}\n")
    methods = {short(n): (p.method, [u.read.model for u in p.uses]) for n, p in made.pieces.items()}
    assert methods["layers.0.mlp.up_proj"] == methods["embed_tokens"] == ("task_arithmetic", ["a", "b"])
    assert methods["layers.1.mlp.up_proj"] == ("ties", ["a"])
    assert methods["lm_head"] == ("ties", ["a", "b"])


def test_the_narrower_level_wins_and_a_filter_without_a_hit_falls_through():
    made = resolved(
        "merge_method: linear\nslices:\n"
        "- sources:\n  - {model: zero, layer_range: [0, 2], parameters: {weight: 1}}\n"
        "  - {model: one, layer_range: [1, 3], parameters: {weight: [0.1, 0.2]}}\n"
        "- sources:\n  - {model: zero, layer_range: [2, 4]}\n  - {model: one, layer_range: [2, 4]}\n"
        "  parameters: {weight: [3, 5]}\n"
        "- sources:\n  - {model: zero, layer_range: [0, 1]}\n  - model: one\n    layer_range: [0, 1]\n"
        "    parameters:\n      weight:\n      - {filter: mlp, value: 7}\n"
        "  parameters:\n    weight:\n    - {filter: mlp, value: 6}\n    - {filter: self_attn, value: [8, 9]}\n"
        "parameters: {weight: 0.5}\n"
    )
    found = weights(made, "one")
    close(found, embed_tokens=0.1, layers__0__mlp__up_proj=0.1, layers__1__mlp__up_proj=0.2)
    close(found, layers__2__mlp__up_proj=3, layers__3__self_attn__q_proj=5)
    close(found, layers__4__input_layernorm=0.5, layers__4__mlp__up_proj=7, layers__4__self_attn__q_proj=9)
    close(found, norm=0.5, lm_head=0.5)
    close(weights(made, "zero"), layers__4__mlp__up_proj=6)
    assert dict(made.config) == {"num_hidden_layers": 5}


def test_the_module_stands_between_slice_and_top():
    made = resolved(
        "merge_method: task_arithmetic\nbase_model: zero\nmodules:\n  default:\n    models:\n    - model: one\n"
        "    - {model: four, parameters: {weight: 1}}\n    parameters: {weight: 3}\n"
        "parameters: {weight: 2, lambda: 4}\n"
    )
    close(weights(made, "one"), norm=3)
    close(weights(made, "four"), norm=1)
    assert {p.scale for p in made.pieces.values()} == {4.0}
    assert {p.base for p in made.pieces.values()} == {Read("zero", n) for n in made.pieces}


def test_the_first_filter_that_hits_wins():
    pairs = [("layers.1.", 2), ("lm_head", 3), ("embed_tokens", 4), ("input_layernorm", 5), ("norm", 7), ("weight", 8)]
    choices = "".join(f"    - {{filter: {f}, value: {v}}}\n" for f, v in pairs)
    made = resolved(
        "merge_method: task_arithmetic\nbase_model: zero\nmodels:\n- model: one\n  parameters:\n    weight:\n" + choices
    )
    found = weights(made, "one")
    close(found, lm_head=3, embed_tokens=4, layers__0__input_layernorm=5, layers__1__input_layernorm=2, norm=7)
    close(found, layers__3__mlp__up_proj=8)


BY_LAYER = "".join(f"    - {{filter: layers.{i}., value: {v}}}\n" for i, v in enumerate((0.1, 0.2, 0.4, 0.8)))


def test_a_models_own_filters_see_the_name_that_is_read():
    made = resolved(
        "merge_method: linear\nslices:\n- sources:\n  - {model: one, layer_range: [0, 1], parameters: {weight: 1}}\n"
        "  - model: code\n    layer_range: [2, 3]\n    parameters:\n      weight:\n"
        + BY_LAYER.replace("    -", "      -")
        + "      - value: 30\n"
    )
    close(weights(made, "code"), layers__0__mlp__up_proj=0.4, norm=30, embed_tokens=30)
    assert made.pieces["model.layers.0.mlp.up_proj.weight"].uses[1].read == Read(
        "code", "model.layers.2.mlp.up_proj.weight"
    )


def test_the_methods_filters_see_the_name_of_the_result():
    made = resolved(
        "merge_method: slerp\nbase_model: zero\nslices:\n- sources:\n  - {model: zero, layer_range: [1, 2]}\n"
        "  - {model: code, layer_range: [2, 3]}\n- sources:\n  - {model: code, layer_range: [3, 4]}\n"
        "  - {model: zero, layer_range: [0, 1]}\nparameters:\n  t:\n"
        + BY_LAYER.replace("    -", "  -")
        + "  - value: 0.5\n"
    )
    t = {short(n): p.parameters["t"] for n, p in made.pieces.items()}
    close(t, layers__0__mlp__up_proj=0.1, layers__1__mlp__up_proj=0.2, norm=0.5, embed_tokens=0.5)
    reads = [(p.base, [u.read for u in p.uses]) for n, p in made.pieces.items() if "layers.1.mlp.up" in n]
    assert reads == [
        (Read("zero", "model.layers.0.mlp.up_proj.weight"), [Read("code", "model.layers.3.mlp.up_proj.weight")])
    ]


def test_models_dtypes_tokenizer_and_template_are_handed_on():
    made = resolved(
        "merge_method: linear\nbase_model: b\nmodels:\n- {model: a@1+l, parameters: {weight: 1}}\n- model: b\n"
        "parameters: {weight: 2}\ndtype: bfloat16\nout_dtype: float16\nchat_template: auto\ntokenizer:\n"
        "  source: a@1+l\n  tokens:\n    x: {source: {kind: model_token, model: b, token: y}}\n"
        "  pad_to_multiple_of: 8\n"
    )
    assert made.models == {"b": "b", "a@1+l": "a@1 + l"}
    assert (made.donor, made.base, made.dtype, made.out_dtype, made.chat_template) == ("b", "b", "BF16", "F16", "auto")
    assert made.tokenizer == {
        "source": "a@1+l",
        "tokens": {"x": {"source": {"kind": "model_token", "model": "b", "token": "y"}, "force": False}},
        "pad_to_multiple_of": 8,
    }
    assert [u.read.model for u in made.pieces["lm_head.weight"].uses] == ["a@1+l", "b"]
    (stage,) = parse_config("merge_method: linear\nmodels: [{model: a}]\ntokenizer_source: union\n")
    assert stage.config.tokenizer_source == "union"
    assert resolved(
        "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\ntokenizer_source: union\n"
    ).tokenizer == {"source": "union"}


@pytest.mark.parametrize("listed", [False, True])
def test_a_base_that_takes_deltas_is_no_model_whether_listed_or_not(listed):
    text = "merge_method: ties\nbase_model: z\nmodels:\n- {model: a, parameters: {weight: 1, density: 0.5}}\n"
    made = resolved(text + "- model: z\n" * listed)
    piece = made.pieces["model.norm.weight"]
    assert piece.base == Read("z", "model.norm.weight")
    assert [(u.read.model, u.weight, dict(u.parameters)) for u in piece.uses] == [("a", 1.0, {"density": 0.5})]


def test_an_unlisted_base_of_linear_gives_its_configuration_only():
    made = resolved("merge_method: linear\nbase_model: z\nmodels: [{model: a}, {model: b}]\nparameters: {weight: 1}\n")
    assert (made.donor, [u.read.model for u in made.pieces["lm_head.weight"].uses]) == ("z", ["a", "b"])
    assert made.notes == ("base_model z gives configuration and tokenizer only: linear takes no deltas",)


def test_a_choice_that_mergekit_leaves_to_chance_is_told():
    made = resolved("merge_method: linear\nmodels: [{model: a}, {model: b}]\nparameters: {weight: 1}\n")
    assert made.notes == ("configuration and tokenizer are taken from a, the first model; mergekit takes any",)


def test_modules_are_told_by_names():
    vlm = llama(prefix="language_model.").names | {"vision_tower.encoder.layers.0.x.weight"}
    models = {n: type(llama())(frozenset(vlm), {"text_config": {"num_hidden_layers": 4}}) for n in ("z", "a")}
    made = resolved(
        "merge_method: linear\nbase_model: z\nmodules:\n  text_decoder:\n    slices:\n    - sources:\n"
        "      - {model: a, layer_range: [0, 1]}\n    - sources:\n      - {model: z, layer_range: [2, 4]}\n"
        "  vision_tower:\n    models: [{model: z}]\nparameters: {weight: 1}\n",
        models,
    )
    read = {short(n): p.uses[0].read.model for n, p in made.pieces.items()}
    assert read["language_model.model.layers.0.mlp.up_proj"] == "a"
    assert read["language_model.lm_head"] == read["language_model.model.layers.2.mlp.up_proj"] == "z"
    assert read["vision_tower.encoder.layers.0.x"] == "z"
    assert made.config == {"text_config": {"num_hidden_layers": 3}}


def test_extra_parameters_are_told_once_and_never_an_error():
    made = resolved(
        "merge_method: ties\nbase_model: z\nmodels:\n- {model: a, parameters: {weight: 1, int8_mask: true}}\n"
        "- {model: b, parameters: {weight: 1, densty: 0.3, lambda: 2}}\n"
        "parameters: {int8_mask: true, embed_slerp: true}\n"
    )
    assert made.notes == (
        "parameter 'int8_mask' is ignored: it changes no result",
        "parameter 'embed_slerp' is ignored: it changes no result",
        "parameter 'densty' is ignored: ties does not take it; did you mean 'density'?",
        "parameter 'lambda' under a model is ignored: it holds for ties at once",
    )


SLICE = "slices: [{sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: [0, 2]}]}]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("merge_method: lineer\nmodels: [{model: a}]\n", "unknown merge_method 'lineer'"),
        ("merge_method: ties\nmodels: [{model: a}]\n", "ties needs a base_model"),
        ("merge_method: ties\nbase_model: z\n" + SLICE, "base_model z is not among the sources of a slice"),
        ("merge_method: linear\nmodels: [{model: a}, {model: a}]\n", "a is named twice"),
        ("merge_method: slerp\nbase_model: a\nmodels: [{model: b}, {model: c}]\n", "takes exactly 1 model"),
        ("merge_method: task_arithmetic\nbase_model: a\nmodels: [{model: a}]\n", "at least 1 model"),
    ],
)
def test_models_that_the_method_does_not_take(text, said):
    with pytest.raises(RecipeError, match=said):
        resolved(text)


def test_all_missing_weights_at_once():
    with pytest.raises(RecipeError) as caught:
        resolved("merge_method: linear\nmodels: [{model: a}, {model: b, parameters: {weight: low}}]\n")
    assert caught.value.details == (
        "model a: linear needs its weight",
        "weight: 'low' is not what linear takes",
        "model b: linear needs its weight",
    )


def test_models_of_unequal_depth():
    with pytest.raises(MismatchError, match="different numbers of layers"):
        resolved("merge_method: linear\nmodels: [{model: a}, {model: b}]\nparameters: {weight: 1}\n", {"b": llama(6)})
