"""Codecs by pattern. Run: pytest tests/compress/plan/test_choice.py"""

from __future__ import annotations

import pytest

from deltakit.compress.codec import parse_codec
from deltakit.compress.plan.auto import Auto
from deltakit.compress.plan.choice import CHOOSERS, check_patterns, join_texts, parse_choice
from deltakit.errors import RecipeError

NAMES = ["model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight"]


def test_a_codec_alone_is_for_all():
    choice = parse_choice("sign(scale='row')")
    assert choice.of("anything") == parse_codec("sign(scale='row')")
    assert not choice.chooses


def test_patterns_hold_over_the_default_and_the_last_one_over_those_before():
    choice = parse_choice("svd_mixed; *proj*=lowrank; *q_proj*=sign")
    assert [choice.of(n).name for n in NAMES] == ["svd_mixed", "lowrank", "sign"]


def test_patterns_alone_leave_the_usual_default():
    assert parse_choice("*embed*=sign").default.name == "svd_mixed"
    assert parse_choice("").default.name == "svd_mixed"


@pytest.mark.parametrize("text", ["sign", "auto; *embed*=lowrank(rank=4); a=sign"])
def test_a_choice_is_its_text(text):
    choice = parse_choice(text)
    assert parse_choice(choice.text) == choice


def test_auto_chooses_and_takes_parameters():
    choice = parse_choice("auto(weigh='relative')")
    assert choice.chooses
    assert choice.default == Auto(weigh="relative")
    assert parse_choice("sign; *mlp*=auto").chooses
    assert CHOOSERS.names() == ["auto", "exact"]


def test_joined_texts_are_one_choice():
    assert parse_choice(join_texts(["*a*=sign", "lowrank"])).text.startswith("lowrank(")


@pytest.mark.parametrize(
    ("text", "said", "remedy"),
    [
        ("sign; lowrank", "two codecs for all", "embed_tokens"),
        ("svd_mixd", "unknown codec 'svd_mixd'", "svd_mixed"),
        ("*a*=autoo", "unknown codec 'autoo'", "auto"),
        ("*embed*", "says no codec", "*embed*=svd_mixed"),
        ("sign(bits=1)", "no parameter 'bits'", "scale"),
        ("auto(weigh='much')", "weigh 'much'", "plain"),
        ("auto(codecs='signn')", "unknown codec 'signn'", "sign"),
        ("svd_mixed(bands='8;3')", "cannot read", "bits:rank"),
    ],
)
def test_what_cannot_be_read_says_why(text, said, remedy):
    with pytest.raises(RecipeError, match=".*") as wrong:
        parse_choice(text)
    assert said in str(wrong.value)
    assert remedy in (wrong.value.remedy or "") + str(wrong.value)


def test_a_pattern_without_a_match_is_an_error_with_a_suggestion():
    check_patterns(parse_choice("*embed*=sign"), NAMES, NAMES)
    with pytest.raises(RecipeError, match="matches no tensor") as wrong:
        check_patterns(parse_choice("*embd_tokens*=sign"), NAMES, NAMES)
    assert "'*embed_tokens*'" in wrong.value.remedy
    with pytest.raises(RecipeError, match="matches no tensor") as wrong:
        check_patterns(parse_choice("xyz=sign"), NAMES, NAMES)
    assert "--dry-run" in wrong.value.remedy
    with pytest.raises(RecipeError, match="only tensors that no codec codes"):
        check_patterns(parse_choice("*norm*=sign"), NAMES, [*NAMES, "model.norm.weight"])
