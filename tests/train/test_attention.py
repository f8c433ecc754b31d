"""Attention in float32 under bf16 autocast: the same numbers, more exact."""

import torch

from deltakit.checkpoint import open_checkpoint
from deltakit.runtime import load_model
from deltakit.train.attention import use_float32_attention


def logits(model, autocast):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        return model(input_ids=torch.arange(4, 44)[None]).logits.float()


def test_it_is_nearer_to_float32_and_the_same_without_autocast(tiny_base):
    opened = open_checkpoint(tiny_base)
    model = load_model(opened, opened.sidecar, dtype="F32")
    exact, half = logits(model, False), logits(model, True)
    use_float32_attention(model)
    assert torch.equal(logits(model, False), exact)
    ours = logits(model, True)
    assert torch.allclose(ours, exact, atol=0.05)
    assert (ours - exact).norm() <= 1.1 * (half - exact).norm()


def test_other_attention_is_left_alone(tiny_base):
    opened = open_checkpoint(tiny_base)
    model = load_model(opened, opened.sidecar, dtype="F32")
    model.set_attn_implementation("eager")
    use_float32_attention(model)
    assert model.config._attn_implementation == "eager"
