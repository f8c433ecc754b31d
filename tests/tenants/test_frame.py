"""Places, modules and how they are made tenant-aware. Run: pytest tests/tenants/test_frame.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.errors import MismatchError
from deltakit.runtime import load_model
from deltakit.tenants.frame import Frame, span
from deltakit.tenants.modules import TenantLinear, TenantModule, TenantNorm
from deltakit.tenants.vocabulary import TenantEmbedding, TenantHead
from support.architectures import tiny


def frame(kind: str) -> Frame:
    made = tiny(kind)
    return Frame.of(load_model(made.tensors, made.sidecar), made.tensors.specs)


def test_kinds_of_a_llama() -> None:
    found = frame("llama")
    layer = "model.layers.0."
    assert (found.embedding, found.head, found.tied) == ("model.embed_tokens", "lm_head", False)
    assert found.kind("lm_head", "weight") is TenantHead
    assert found.kind("model.embed_tokens", "weight") is TenantEmbedding
    assert found.kind(layer + "self_attn.q_proj", "weight") is TenantLinear
    assert found.kind(layer + "input_layernorm", "weight") is TenantNorm
    assert found.tensor_of("lm_head") == "lm_head.weight"
    assert not found.transposed("lm_head")


def test_a_tied_head_shares_its_weight() -> None:
    found = frame("gpt2")
    assert found.tied
    assert set(found.sharers["lm_head.weight"]) == {("transformer.wte", "weight"), ("lm_head", "weight")}
    assert found.transposed("transformer.h.0.attn.c_attn")
    assert found.kind("transformer.h.0.attn.c_attn", "weight") is TenantLinear
    assert found.kind("transformer.wpe", "weight") is TenantEmbedding


def test_experts_are_small_modules_and_attention_with_weights_of_its_own_is_none() -> None:
    assert frame("qwen3_moe").kind("model.layers.0.mlp.experts", "down_proj") is TenantModule
    assert frame("gpt_oss").kind("model.layers.0.self_attn", "sinks") is None


def test_spans() -> None:
    assert span(np.arange(5), 5) is None
    assert span(np.arange(2, 5), 6) == slice(2, 5)
    with pytest.raises(MismatchError, match="scattered"):
        span(np.array([0, 2]), 5)
