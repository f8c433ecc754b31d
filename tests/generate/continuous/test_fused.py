from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from deltakit.generate.continuous import attention, fused
from deltakit.generate.continuous.slots import SlotCache

HEADS, KV, SIZE = 6, 2, 16


@pytest.fixture
def cache() -> SlotCache:
    torch.manual_seed(0)
    made = SlotCache(2, 3, KV, 40, SIZE, torch.float32, "cpu")
    for held in (*made.keys, *made.values):
        held.normal_()
    return made


@pytest.mark.parametrize(
    "extra", [{}, {"window": 5}, {"softcap": 3.0}, {"sinks": torch.linspace(-1, 2, HEADS)}], ids=str
)
@pytest.mark.parametrize(("start", "tokens"), [(0, 1), (0, 17), (11, 6), (39, 1)])
def test_prompts_as_in_the_plain_form(cache: SlotCache, start: int, tokens: int, extra: dict[str, Any]) -> None:
    query = torch.randn(HEADS, tokens, SIZE)
    found = fused.attend_prompt(query, cache, 1, 2, start, 0.3, **extra)
    right = attention.attend_prompt(query, cache, 1, 2, start, 0.3, **extra)
    assert found.shape == right.shape == (tokens, HEADS, SIZE)
    torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-6)


def test_the_kernel_is_for_cuda_where_triton_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    assert fused.decoding_on("cpu") is attention.attend
    assert fused.decoding_on("cuda") is fused.attend
    monkeypatch.setitem(sys.modules, "triton", None)
    assert fused.decoding_on("cuda") is attention.attend


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize("extra", [{}, {"window": 5}, {"softcap": 3.0}], ids=str)
def test_decoding_on_a_gpu_as_in_the_plain_form(extra: dict[str, Any]) -> None:
    cache = SlotCache(2, 3, KV, 40, SIZE, torch.float32, "cuda")
    for held in (*cache.keys, *cache.values):
        held.normal_()
    query = torch.randn(2, HEADS, 1, SIZE, device="cuda")
    slots, lengths = (torch.tensor(x, dtype=torch.int32, device="cuda") for x in ([2, 0], [40, 7]))
    found = fused.attend(query, cache, 1, slots, lengths, 0.3, **extra)
    torch.testing.assert_close(
        found, attention.attend(query, cache, 1, slots, lengths, 0.3, **extra), rtol=1e-5, atol=1e-5
    )
