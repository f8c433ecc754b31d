"""Rows over slots: refilled, mixed, out of memory. Token-exactness by family is in test_exact.py."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from deltakit.errors import ResourceError, VerificationError
from deltakit.generate.continuous.run import Limits, decode_slots
from deltakit.generate.continuous.slots import SlotCache
from deltakit.generate.continuous.step import Steps
from deltakit.generate.engine import Engine
from deltakit.generate.request import Request
from deltakit.generate.stops import Stops
from deltakit.generate.voices import Voices
from deltakit.tenants import ResidentBase
from support.running import running
from support.tenants import world, written

LIMITS = Limits(tokens=10_000, rows=4, chunk=64, logits=1 << 20)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return running()


def asked(n: int, **given: Any) -> list[Request]:
    draw = random.Random(1)
    prompts = [tuple(draw.randrange(3, 320) for _ in range(draw.randint(1, 30))) for _ in range(n)]
    return [Request(p, 1 + 3 * (i % 7), seed=i, **given) for i, p in enumerate(prompts)]


def decoded(pair: tuple[Any, Any], requests: list[Request], limits: Limits = LIMITS, eos: int = 2) -> list[Any]:
    out: dict[int, Any] = {}

    def ended(i: int, tokens: list[int], reason: str) -> None:
        assert i not in out
        out[i] = (list(tokens), reason)

    voices = Voices({None: Stops(pair[1], frozenset({eos}))})
    decode_slots(pair[0], requests, voices, limits, ended)
    return [out[i] for i in range(len(requests))]


def test_an_answer_does_not_depend_on_slots_chunks_or_neighbours(pair: tuple[Any, Any]) -> None:
    for given in ({}, {"temperature": 1.0, "top_p": 0.95}):
        requests = asked(14, **given)
        want = decoded(pair, requests)
        for limits in (Limits(10_000, 1, 64, 1 << 20), Limits(10_000, 64, 5, 1 << 20), Limits(70, 3, 64, 1)):
            assert decoded(pair, requests, limits) == want
        assert [decoded(pair, [r])[0] for r in requests] == want


def test_slots_are_refilled_so_that_few_passes_run_half_empty(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    widths, real = [], Steps.decode

    def counted(self: Any, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        widths.append(len(tokens))
        return real(self, tokens, *rest)

    monkeypatch.setattr(Steps, "decode", counted)
    requests = [Request((5, 6, 7 + i), 20 if i % 8 == 0 else 4) for i in range(32)]
    decoded(pair, requests, eos=-1)
    assert sum(widths) == sum(r.max_new_tokens - 1 for r in requests)  # the first token comes with the prompt
    assert len(widths) < 56  # static batches of four would take 76: each waits for its longest row
    assert widths[:30] == [4] * 30


def test_rows_that_outgrow_their_slots_go_on_in_wider_ones(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(2)
    requests = [Request(tuple(draw.randrange(3, 320) for _ in range(9)), 50 if i % 5 == 1 else 6) for i in range(12)]
    want = decoded(pair, requests, eos=-1)
    monkeypatch.setattr("deltakit.generate.continuous.scheduler._ROOM", 8)
    made: list[tuple[int, int]] = []
    real = SlotCache.of
    monkeypatch.setattr(SlotCache, "of", lambda model, slots, n: made.append((slots, n)) or real(model, slots, n))
    assert decoded(pair, requests, Limits(118, 8, 64, 1 << 20), eos=-1) == want
    assert made == [(6, 17), (3, 39), (2, 59)]  # of full length only two would fit


def test_every_row_ends_by_its_own_eos_stop_or_length(pair: tuple[Any, Any]) -> None:
    free = decoded(pair, asked(12), eos=-1)
    eos = free[6][0][2]
    for (before, _), (after, reason) in zip(free, decoded(pair, asked(12), eos=eos), strict=True):
        at = before.index(eos) + 1 if eos in before else len(before)
        assert (after, reason) == (before[:at], "eos" if eos in before else "length")


def test_tenants_of_one_batch_say_what_transformers_says_with_their_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(tmp_path, "qwen2")
    resident = ResidentBase.open(str(made.base))
    for name, text in made.texts.items():
        if name is not None:
            resident.attach(name, text)
    template = tuple(range(10, 30))
    requests = [Request((*template, *range(40, 41 + i)), 4 + i, tenant=name) for i in range(6) for name in made.texts]
    # The first to end fills its slot: it must not grow beyond it while it runs on.
    requests.append(Request(tuple(range(10, 50)), 2, tenant=next(name for name in made.texts if name)))
    told: list[int] = []
    found = Engine.over(resident, max_rows=20).generate(requests, lambda i, completion: told.append(i))
    assert sorted(told) == list(range(len(requests)))  # rows that have ended run on for a while, unheard
    with monkeypatch.context() as patch:
        patch.setattr("deltakit.generate.continuous.scheduler._ROOM", 2)  # and rows that have outgrown their slots
        assert Engine.over(resident, max_rows=20, batch_tokens=600).generate(requests) == found
    for name, text in made.texts.items():
        alone = written(text, rounded=False)
        for completion, request in zip(found, requests, strict=True):
            if request.tenant == name:
                ids = torch.tensor([request.prompt])
                out = alone.generate(
                    ids, attention_mask=torch.ones_like(ids), max_new_tokens=request.max_new_tokens, do_sample=False,
                    pad_token_id=3, eos_token_id=2,
                )  # fmt: skip
                assert list(completion.tokens) == [t for t in out[0, ids.shape[1] :].tolist() if t != 2]


def full(rows: int) -> Any:
    """A decode step that finds no memory for more than `rows` rows, from its third call on."""
    real, calls = Steps.decode, [0]

    def step(self: Any, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > 2 and len(tokens) > rows:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ...")
        return real(self, tokens, *rest)

    return step


def test_memory_that_runs_out_halves_the_slots_and_nothing_is_said_twice(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [*asked(14), *[Request((9,) * 60, 6)] * 3]
    want = decoded(pair, requests)
    monkeypatch.setattr(Steps, "decode", full(2))
    made = []
    real = SlotCache.of
    monkeypatch.setattr(SlotCache, "of", lambda model, slots, n: made.append(slots) or real(model, slots, n))
    assert decoded(pair, requests, Limits(10_000, 8, 64, 1 << 20)) == want
    assert made == [8, 4, 2]


def test_memory_for_not_even_one_row_is_an_error(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Steps, "decode", full(0))
    with pytest.raises(ResourceError, match="single row"):
        decoded(pair, asked(5))
    assert pair[0].config._attn_implementation != "deltakit_slots"


def test_another_error_passes(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> Any:
        raise RuntimeError("shape")

    monkeypatch.setattr(Steps, "decode", broken)
    with pytest.raises(RuntimeError, match="shape"):
        decoded(pair, asked(5))


def test_weights_that_overflow_are_an_error_not_an_answer() -> None:
    model, tokenizer = running()
    model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(VerificationError, match="not finite"):
        decoded((model, tokenizer), asked(2))


def test_a_long_run_by_the_compiled_loop_says_the_same(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    requests = asked(12)
    want = decoded(pair, requests)
    monkeypatch.setattr("deltakit.generate.continuous.step._FEW", 0)
    assert decoded(pair, requests) == want
