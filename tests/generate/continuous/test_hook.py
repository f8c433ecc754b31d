"""Models of transformers over slots against their own forward pass."""

from __future__ import annotations

import itertools

import pytest
import torch

from deltakit.errors import MismatchError
from deltakit.generate.continuous.hook import NAME, Decode, Piece, Prompts, hooked
from deltakit.generate.continuous.slots import SlotCache
from support.architectures import tiny

TOKENS = [list(range(10, 17)), [5, 40, 6], list(range(30, 41))]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma3", "gpt_oss"])
@torch.no_grad()
def test_packed_prompts_then_steps_give_the_models_own_logits(kind: str) -> None:
    model = tiny(kind).model
    want = [model(input_ids=torch.tensor([row])).logits[0] for row in TOKENS]
    cache, slots, steps = SlotCache.of(model, 5, 16), [3, 0, 4], 2
    pieces = [Piece(slot, 0, row[:-steps]) for slot, row in zip(slots, TOKENS, strict=True)]
    with hooked(model):
        flat = torch.tensor([[token for piece in pieces for token in piece.tokens]])
        at = torch.tensor([[i for piece in pieces for i in range(len(piece.tokens))]])
        first = model(input_ids=flat, position_ids=at, use_cache=False, slot_pass=Prompts(cache, pieces)).logits[0]
        torch.testing.assert_close(first, torch.cat([w[:-steps] for w in want]), rtol=1e-4, atol=1e-4)
        for step in range(-steps, 0):
            lengths = torch.tensor([len(row) + step + 1 for row in TOKENS], dtype=torch.int32)
            one = Decode(cache, torch.tensor(slots, dtype=torch.int32), lengths)
            ids = torch.tensor([[row[step]] for row in TOKENS])
            got = model(input_ids=ids, position_ids=lengths[:, None].long() - 1, use_cache=False, slot_pass=one).logits
            torch.testing.assert_close(got[:, 0], torch.stack([w[step] for w in want]), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_prompt_may_come_in_chunks() -> None:
    model, row = tiny("llama").model, TOKENS[2]
    want = model(input_ids=torch.tensor([row])).logits[0]
    cache, found = SlotCache.of(model, 2, 16), []
    with hooked(model):
        for lo, hi in itertools.pairwise([0, 4, 5, 11]):
            piece, at = Piece(1, lo, row[lo:hi]), torch.arange(lo, hi)[None]
            ids = torch.tensor([row[lo:hi]])
            found.append(model(input_ids=ids, position_ids=at, use_cache=False, slot_pass=Prompts(cache, [piece])))
    torch.testing.assert_close(torch.cat([f.logits[0] for f in found]), want, rtol=1e-4, atol=1e-4)


def test_outside_the_block_the_model_is_as_it_was() -> None:
    model = tiny("llama").model
    before = model.config._attn_implementation
    with hooked(model):
        assert model.config._attn_implementation == NAME
    assert model.config._attn_implementation == before
    with pytest.raises(ZeroDivisionError), hooked(model):
        raise ZeroDivisionError
    assert model.config._attn_implementation == before


def test_a_call_without_its_pass_is_refused() -> None:
    model = tiny("llama").model
    with hooked(model), pytest.raises(MismatchError, match="LlamaAttention does not pass on"):
        model(input_ids=torch.tensor([[5]]), use_cache=False)
