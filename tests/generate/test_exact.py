"""Every family of the engine over slots against transformers' own `generate`, token for token in float32.

Run: pytest tests/generate/test_exact.py
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from deltakit.generate.continuous.families import FAMILIES
from deltakit.generate.engine import Engine
from deltakit.generate.request import Request
from support.families import MADE, made, trained
from support.models import LETTERS, SPECIAL

TEMPLATE = tuple(range(3, 33))


class Letters:
    """A tokenizer of 50 characters, as far as the engine needs one."""

    is_fast = False
    all_special_tokens = SPECIAL

    def convert_tokens_to_ids(self, token: str) -> int:
        return SPECIAL.index(token)

    def decode(self, ids: list[int], **settings: Any) -> str:
        return "".join(LETTERS[i] for i in ids)


def asked(counting: bool) -> list[Request]:
    """Prompts of four lengths, some behind one template, some equal; answers of several lengths."""
    draw, made = random.Random(0), []
    for i in range(15):
        n = (3, 9, 21)[i % 3]
        start, jump = draw.randint(3, 50), draw.randint(3, 6)
        own = [3 + (start + jump * k) % 47 if counting else draw.randint(3, 49) for k in range(n)]
        made.append(Request((*TEMPLATE, *own[:2]) if i % 5 == 0 else tuple(own), 3 + 4 * (i % 4)))
    return [*made, made[1], made[3]]


@torch.no_grad()
def oracle(model: Any, requests: list[Request]) -> list[tuple[int, ...]]:
    """`generate` over prompts of equal length: no padding. An answer ends with, and without, EOS."""
    found: dict[Request, tuple[int, ...]] = {}
    for n in {len(r.prompt) for r in requests}:
        some = [r for r in requests if len(r.prompt) == n]
        ids = torch.tensor([r.prompt for r in some])
        most = max(r.max_new_tokens for r in some)
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False, pad_token_id=0,
            eos_token_id=2,
        )  # fmt: skip
        for request, row in zip(some, out[:, n:].tolist(), strict=True):
            answer = row[: request.max_new_tokens]
            found[request] = tuple(answer[: answer.index(2)] if 2 in answer else answer)
    return [found[r] for r in requests]


@pytest.mark.parametrize(
    ("name", "weights"),
    [*((name, "random") for name in MADE), *((n, "trained") for n in MADE if n.startswith(("llama", "mis", "qwen")))],
)
def test_tokens_are_those_of_generate(name: str, weights: str) -> None:
    model = made(name) if weights == "random" else trained(name)
    requests = asked(weights == "trained")
    engine = Engine(model, Letters(), frozenset({2}), max_rows=5, chunk=24, form="slots")
    told: dict[int, Any] = {}
    answers = engine.generate(requests, told.__setitem__)
    assert [a.tokens for a in answers] == oracle(model, requests)
    assert [told[i] for i in range(len(requests))] == answers
    assert len({a.tokens for a in answers}) > 5  # a model that always says the same would prove little
    assert model.config._attn_implementation != "deltakit_slots"


def test_every_family_of_the_list_is_proved_here() -> None:
    assert {name.partition(",")[0] for name in MADE} == FAMILIES


@torch.no_grad()
def test_the_trained_ones_are_sure_of_what_they_say() -> None:
    ids = 3 + (5 + 4 * torch.arange(20)) % 47
    share = trained("llama")(input_ids=ids[None]).logits[0, 8:].softmax(-1)
    assert float(share.max(-1).values.mean()) > 0.5


@torch.no_grad()
@pytest.mark.parametrize("name", ["mistral, sliding window", "gemma2", "gpt_oss"])
def test_scores_are_those_of_the_model(name: str) -> None:
    model = made(name)
    pairs = [(TEMPLATE[: 20 + i], tuple(range(5, 6 + i))) for i in range(4)] + [(TEMPLATE, (9, 8)), (TEMPLATE, (4,))]
    found = Engine(model, Letters(), frozenset(), form="slots", chunk=16).score(pairs)
    for (total, greedy), (context, continuation) in zip(found, pairs, strict=True):
        n = len(continuation)
        share = (
            model(input_ids=torch.tensor([[*context, *continuation]])).logits[0, -n - 1 : -1].double().log_softmax(-1)
        )
        picked = [float(row[token]) for row, token in zip(share, continuation, strict=True)]
        assert total == pytest.approx(sum(picked), abs=1e-4)
        assert greedy == (share.argmax(-1).tolist() == list(continuation))
