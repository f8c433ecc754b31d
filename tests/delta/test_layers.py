"""Layer numbers from names of many architectures."""

import pytest

from deltakit.delta.layers import depths_of, layer_of, stack_of

NUMBERED = [
    ("model.layers.12.mlp.up_proj.weight", "model.layers", 12),  # llama, mistral, qwen
    ("layers.7", "layers", 7),
    ("base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight", "base_model.model.model.layers", 3),
    ("transformer.h.3.attn.c_attn.weight", "transformer.h", 3),  # gpt2
    ("h.3.attn.bias", "h", 3),
    ("bert.encoder.layer.3.attention.self.query.weight", "bert.encoder.layer", 3),
    ("encoder.layer.10.output.dense.bias", "encoder.layer", 10),
    ("encoder.block.4.layer.1.DenseReluDense.wi.weight", "encoder.block", 4),  # t5: its halves are no layers
    ("decoder.block.0.layer.0.SelfAttention.q.weight", "decoder.block", 0),
    ("transformer.blocks.5.ffn.up_proj.weight", "transformer.blocks", 5),  # mpt
    ("visual.transformer.resblocks.2.ln_1.weight", "visual.transformer.resblocks", 2),  # clip
    ("encoder.albert_layer_groups.0.albert_layers.0.ffn.weight", "encoder.albert_layer_groups", 0),
    ("model.layers.3.mlp.experts.5.up_proj.weight", "model.layers", 3),
    ("model.layers.2.block_sparse_moe.experts.7.w1.weight", "model.layers", 2),
    ("model.experts.5.layers.3.weight", "model.experts.5.layers", 3),
]
BARE = [
    "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "shared.weight", "transformer.wpe.weight",
    "classifier.0.weight", "visual.merger.mlp.2.weight", "experts.5.w1", "layers.weight", "path.0.weight",
    "model.layers.x.weight", "model.layers.3b.weight", "layer_norm.weight", "",
]  # fmt: skip


@pytest.mark.parametrize(("name", "stack", "layer"), NUMBERED)
def test_the_first_number_behind_a_row_of_layers(name, stack, layer):
    assert (stack_of(name), layer_of(name)) == (stack, layer)


@pytest.mark.parametrize("name", BARE)
def test_what_lies_in_no_layer(name):
    assert stack_of(name) is None
    assert layer_of(name) is None


def test_each_stack_has_its_depth():
    names = ["decoder.block.1.w", "encoder.block.3.w", "encoder.block.0.w", "shared.weight"]
    assert depths_of(names) == {"decoder.block": 2, "encoder.block": 4}
    assert depths_of(["lm_head.weight"]) == {}
