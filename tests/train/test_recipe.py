"""The recipe of sft: strict, with every problem named."""

import pytest

from deltakit.errors import RecipeError
from deltakit.recipe import read_recipe
from deltakit.train.recipe import SftRecipe, Source

HEAD = "deltakit: 1\nbase: b\n"


def read(text, *overrides):
    return read_recipe(HEAD + text, SftRecipe, overrides)


def test_one_file_may_stand_alone_or_in_a_list():
    alone, listed = read("data: {path: a, kind: gsm8k}"), read("data: [{path: a, kind: gsm8k}]")
    assert alone == listed
    assert alone.data == [Source(path="a", kind="gsm8k")]


def test_defaults_are_those_of_metamath():
    made = read("data: {path: a}").train
    assert (made.lr, made.schedule, made.warmup_ratio, made.weight_decay) == (2e-5, "cosine", 0.03, 0.0)


def test_holdout_is_a_share_or_a_file():
    assert read("data: {path: a}\nholdout: 0.1").holdout == 0.1
    assert read("data: {path: a}\nholdout: {path: b}").holdout == Source(path="b")


def test_overrides_reach_every_section():
    made = read("data: [{path: a}]", "train.lr=1e-4", "data.0.limit=3", "lora.r=4", "tokens.pad_token=eos")
    assert (made.train.lr, made.data[0].limit, made.lora.r, made.tokens.pad_token) == (1e-4, 3, 4, "eos")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {path: a, knd: gsm8k}", "data.knd"),
        ("data: {path: a, kind: gsm9k}", "data.kind"),
        ("data: []", "data"),
        ("data: {path: a}\nholdout: 1.5", "holdout"),
        ("data: {path: a}\ntrain: {epochs: 1, max_steps: 2}", "not both"),
        ("data: {path: a}\ntrain: {lr: 0}", "train.lr"),
        ("data: {path: a}\nlora: {}\ntokens: {pad_token: add}", "adapter"),
        ("data: {path: a}\nlora: {r: 0}", "lora.r"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(RecipeError) as refused:
        read(text)
    assert said in str(refused.value)
