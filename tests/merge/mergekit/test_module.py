"""Modules of a config, found by names."""

from __future__ import annotations

import pytest

from deltakit.errors import MismatchError
from deltakit.merge.mergekit.module import split_modules

LLAVA = {
    "language_model.lm_head.weight": "text_decoder",
    "language_model.model.layers.0.mlp.up_proj.weight": "text_decoder",
    "multi_modal_projector.linear_1.weight": "multi_modal_projector",
    "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": "vision_tower",
}
QWEN = {
    "lm_head.weight": "text_decoder",
    "model.language_model.layers.0.mlp.up_proj.weight": "text_decoder",
    "model.visual.blocks.0.attn.qkv.weight": "vision_tower",
    "model.visual.merger.mlp.0.weight": "projector",
}
T5 = {
    "shared.weight": "decoder",
    "encoder.block.0.layer.0.SelfAttention.q.weight": "encoder",
    "decoder.block.0.layer.0.SelfAttention.q.weight": "decoder",
}
STACKS = {
    "lm_head.weight": "default",
    "model.language_model.embed_tokens.weight": "default",
    "model.language_model.layers.0.mlp.up_proj.weight": "model.language_model.layers",
    "model.vision_tower.encoder.layers.0.mlp.fc1.weight": "model.vision_tower.encoder.layers",
    "model.vision_tower.post_layernorm.weight": "default",
}


@pytest.mark.parametrize("expected", [LLAVA, QWEN, T5, STACKS])
def test_names_tell_the_module(expected):
    modules = list(dict.fromkeys(expected.values()))
    found = split_modules(modules, expected)
    assert {n: m for m, names in found.items() for n in names} == expected


def test_default_is_everything():
    assert split_modules(["default"], LLAVA) == {"default": frozenset(LLAVA)}


def test_all_that_is_not_covered_is_told():
    with pytest.raises(MismatchError) as caught:
        split_modules(["audio_tower", "multi_modal_projector", "vision_tower"], LLAVA)
    assert caught.value.details == (
        "module 'audio_tower': no tensor belongs to it",
        "tensor 'language_model.lm_head.weight': belongs to none of the modules",
        "tensor 'language_model.model.layers.0.mlp.up_proj.weight': belongs to none of the modules",
    )
