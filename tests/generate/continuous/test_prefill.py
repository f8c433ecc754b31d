"""Prompts into slots, however cut, packed or shared. Run: pytest tests/generate/continuous/test_prefill.py"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deltakit.generate.continuous.hook import hooked
from deltakit.generate.continuous.prefill import Span, prefill
from deltakit.generate.continuous.prefix import shared_prefixes
from deltakit.generate.continuous.slots import SlotCache
from deltakit.generate.continuous.step import Steps
from deltakit.generate.voices import Voices
from support.running import running

TEMPLATE = tuple(range(50, 90))
PROMPTS = [(*TEMPLATE, 5), (*TEMPLATE, *range(100, 130), 7), (*TEMPLATE, *range(100, 130), 8), (9, 8, 7), (4,)] * 2


@pytest.fixture(scope="module")
def model() -> Any:
    return running()[0]


class Counted(Steps):
    """Notes (tokens, logits) of every pass."""

    def prompts(self, wanted: Any, tenant: Any) -> Any:
        found = super().prompts(wanted, tenant)
        self.seen.append((sum(len(p.tokens) for p, _ in wanted), sum(map(len, found))))
        return found


def filled(model: Any, chunk: int = 1000, kept: int = 1000, share: bool = True, wanted: int = 1) -> Any:
    """Logits of each prompt's last `wanted` tokens; the steps, with what they noted."""
    steps = Counted(model, Voices({}), SlotCache.of(model, len(PROMPTS), 80))
    steps.seen = []  # type: ignore[attr-defined]
    found = shared_prefixes([(None, p, max(0, len(p) - wanted)) for p in PROMPTS]) if share else [None] * len(PROMPTS)
    spans = [
        Span(len(PROMPTS) - 1 - i, p, max(0, len(p) - wanted), None, x)
        for i, (p, x) in enumerate(zip(PROMPTS, found, strict=True))
    ]
    logits: dict[int, list[torch.Tensor]] = {}
    with hooked(model):
        prefill(steps, spans, chunk, kept, lambda i, part: logits.setdefault(i, []).append(part))
    assert all(x is None or x.span is None for x in found)  # dropped with the last user
    return [torch.cat(logits[i]) for i in range(len(PROMPTS))], steps


@torch.no_grad()
@pytest.mark.parametrize("wanted", [1, 3])
@pytest.mark.parametrize(("chunk", "kept"), [(1000, 1000), (7, 1000), (1, 1), (50, 2)])
@pytest.mark.parametrize("share", [True, False])
def test_the_logits_are_those_of_each_prompt_alone(model: Any, chunk: int, kept: int, share: bool, wanted: int) -> None:
    found, steps = filled(model, chunk, kept, share, wanted)
    for prompt, got in zip(PROMPTS[:5], found, strict=False):
        want = model(input_ids=torch.tensor([prompt])).logits[0, -wanted:]
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    assert all(tokens <= chunk and logits <= kept for tokens, logits in steps.seen)


def test_what_is_shared_is_computed_once(model: Any) -> None:
    apart, together = (sum(tokens for tokens, _ in filled(model, share=share)[1].seen) for share in (False, True))
    assert apart == 2 * sum(map(len, PROMPTS[:5]))
    # the template, what follows it in four prompts, and the last tokens
    assert together == 40 + 30 + 6 + 2 * 4


def test_a_prompt_of_one_token_has_nothing_to_share(model: Any) -> None:
    found, _ = filled(model)
    assert found[4].shape == (1, 320)
