"""The batched decoder against transformers' own `generate`, one prompt at a time, token for token."""

import random
from typing import Any

import pytest
import torch

from deltakit.errors import VerificationError
from deltakit.generate import decode as module
from deltakit.generate.decode import decode, left_padded
from deltakit.generate.request import Request
from deltakit.generate.stops import Stops
from support.running import running


def one_by_one(model: Any, prompt: tuple[int, ...], n: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False, pad_token_id=0)
    found: list[int] = out[0, len(prompt) :].tolist()
    return found


def prompts(n: int, seed: int = 0) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    return [tuple(draw.randrange(3, 320) for _ in range(draw.randint(1, 40))) for _ in range(n)]


def other_models() -> dict[str, Any]:
    import transformers

    small = {"vocab_size": 320, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "eos_token_id": 2}
    common = {"intermediate_size": 96, "num_key_value_heads": 2, "initializer_range": 0.4, "bos_token_id": 1, **small}
    gpt = {"n_embd": 48, "n_layer": 2, "n_head": 4, "vocab_size": 320, "eos_token_id": 2, "initializer_range": 0.4}
    return {
        "qwen2": transformers.Qwen2Config(**common),
        "mistral, sliding window": transformers.MistralConfig(sliding_window=8, **common),
        "gpt2, learnt positions": transformers.GPT2Config(bos_token_id=1, **gpt),
    }


def test_answers_are_those_of_generate_one_by_one() -> None:
    model, tokenizer = running()
    asked = [Request(p, 4 + i % 9) for i, p in enumerate(prompts(20))]
    answers = decode(model, asked, Stops(tokenizer, frozenset({2})))
    assert [tokens for tokens, _ in answers] == [one_by_one(model, r.prompt, r.max_new_tokens) for r in asked]
    assert len({tuple(tokens) for tokens, _ in answers}) > 10  # a model that always says the same would prove little


@pytest.mark.parametrize("name", ["qwen2", "mistral, sliding window", "gpt2, learnt positions"])
def test_other_architectures_too(name: str) -> None:
    from transformers import AutoModelForCausalLM

    _, tokenizer = running()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(other_models()[name]).eval()
    asked = [Request(p, 3 + 5 * (i % 3)) for i, p in enumerate(prompts(9))]
    answers = decode(model, asked, Stops(tokenizer, frozenset({2})))
    assert [tokens for tokens, _ in answers] == [one_by_one(model, r.prompt, r.max_new_tokens) for r in asked]


def test_an_answer_ends_at_its_own_eos() -> None:
    model, tokenizer = running()
    asked = [Request(p, 12) for p in prompts(8)]
    free = [tokens for tokens, _ in decode(model, asked, Stops(tokenizer, frozenset()))]
    eos = free[0][4]
    ended = decode(model, asked, Stops(tokenizer, frozenset({eos})))
    for before, (after, reason) in zip(free, ended, strict=True):
        at = before.index(eos) + 1 if eos in before else len(before)
        assert after == before[:at]
        assert reason == ("eos" if eos in before else "length")


def test_a_drawn_answer_does_not_depend_on_its_neighbours() -> None:
    model, tokenizer = running()
    stops = Stops(tokenizer, frozenset({2}))
    asked = [Request(p, 10, temperature=1.0, top_p=0.9, seed=i) for i, p in enumerate(prompts(6))]
    assert decode(model, asked, stops) == [decode(model, [r], stops)[0] for r in asked]
    again = [Request(r.prompt, 10, temperature=1.0, top_p=0.9, seed=r.seed + 100) for r in asked]
    assert decode(model, again, stops) != decode(model, asked, stops)


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes (rows, tokens) of every forward pass."""
    shapes, real = [], module.forward

    def passed(model: Any, ids: torch.Tensor, *rest: Any) -> Any:
        shapes.append(tuple(ids.shape))
        return real(model, ids, *rest)

    monkeypatch.setattr(module, "forward", passed)
    return shapes


@pytest.mark.parametrize("own", [[7], [1, 30, 2, 9], [5, 5]])
def test_what_all_prompts_begin_with_is_computed_once(own: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = running()
    template = tuple(range(50, 90))
    asked = [Request(template + tuple(range(100 + i, 100 + i + n)), 5 + i) for i, n in enumerate(own)]
    expected = [one_by_one(model, r.prompt, r.max_new_tokens) for r in asked]
    shapes = recorded(monkeypatch)
    answers = decode(model, asked, Stops(tokenizer, frozenset({2})))
    assert [tokens for tokens, _ in answers] == expected
    assert shapes[:2] == ([(1, 40), (len(own), max(own))] if len(own) > 1 else [(1, 47), (1, 1)])


def test_equal_prompts_keep_a_token_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = running()
    prompt = tuple(range(50, 90))
    shapes = recorded(monkeypatch)
    answers = decode(model, [Request(prompt, 5)] * 3, Stops(tokenizer, frozenset({2})))
    assert shapes[:2] == [(1, 39), (3, 1)]
    assert [tokens for tokens, _ in answers] == [one_by_one(model, prompt, 5)] * 3


def test_finished_rows_leave_so_that_time_follows_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = running()
    shapes = recorded(monkeypatch)
    asked = [Request(p, 2 if i else 30) for i, p in enumerate(prompts(16))]
    decode(model, asked, Stops(tokenizer, frozenset()))
    assert [rows for rows, _ in shapes] == [16, 16, *[1] * 28]


def test_weights_that_overflow_are_an_error_not_an_answer() -> None:
    model, tokenizer = running()
    model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(VerificationError, match="not finite"):
        decode(model, [Request((1, 5), 3)], Stops(tokenizer, frozenset()))


def test_padding_goes_to_the_left_and_is_masked() -> None:
    ids, mask = left_padded([(7, 8, 9), (5,)], "cpu", extra=2)
    assert ids.tolist() == [[7, 8, 9], [0, 0, 5]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]
