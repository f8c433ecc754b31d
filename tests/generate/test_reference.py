from __future__ import annotations

from typing import Any

import pytest
import torch

from deltakit.errors import InputError
from deltakit.generate import reference as module
from deltakit.generate.engine import Engine
from deltakit.generate.reference import Reference
from deltakit.generate.request import Request
from support.running import running

EOS = frozenset({2})
TEXTS = ["Question: one", "two apples and three pears", "x", "How many does Tom have?", "Stop here."]


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return running()


def ask(tokenizer: Any, texts: list[str], **given: Any) -> list[Request]:
    return [Request(tuple(tokenizer(text)["input_ids"]), **{"max_new_tokens": 12, **given}) for text in texts]


def mixed(pair: tuple[Any, Any]) -> list[Request]:
    """Requests of other lengths and stop strings, some of which are met."""
    free = Engine(*pair, EOS).generate(ask(pair[1], TEXTS))
    found = ask(pair[1], TEXTS)
    found[0] = ask(pair[1], TEXTS[:1], stop=(free[0].text[3:5], "never"))[0]
    found[2] = ask(pair[1], TEXTS[2:3], max_new_tokens=3)[0]
    found[3] = ask(pair[1], TEXTS[3:4], stop=("</s>",))[0]
    return found


def test_greedy_answers_are_those_of_the_engine(pair: tuple[Any, Any]) -> None:
    asked = mixed(pair)
    right = Engine(*pair, EOS).generate(asked)
    assert {c.reason for c in right} >= {"stop", "length"}
    assert Reference(*pair, EOS).generate(asked) == right
    assert Reference(*pair, EOS, max_rows=1).generate(asked) == right


def test_an_end_token_ends_a_row_and_is_no_part_of_the_answer(pair: tuple[Any, Any]) -> None:
    asked = ask(pair[1], TEXTS)
    free = Engine(*pair, EOS).generate(asked)
    eos = frozenset({free[1].tokens[4]})
    found = Reference(*pair, eos).generate(asked)
    assert found == Engine(*pair, eos).generate(asked)
    assert found[1].reason == "eos"
    assert found[1].tokens == free[1].tokens[:4]


def test_the_models_own_settings_change_nothing(pair: tuple[Any, Any]) -> None:
    from transformers import GenerationConfig

    model, tokenizer = pair
    own = model.generation_config
    right = Reference(model, tokenizer, EOS).generate(ask(tokenizer, TEXTS))
    loud = GenerationConfig(do_sample=True, temperature=5.0, repetition_penalty=2.0, eos_token_id=right[0].tokens[1])
    model.generation_config = loud
    try:
        assert Reference(model, tokenizer, EOS).generate(ask(tokenizer, TEXTS)) == right
        assert model.generation_config is loud
    finally:
        model.generation_config = own


def test_a_draw_repeats_whatever_stands_beside_it(pair: tuple[Any, Any]) -> None:
    one = ask(pair[1], TEXTS[:1], temperature=1.0, seed=3)
    backend = Reference(*pair, EOS)
    before = torch.random.get_rng_state()
    first = backend.generate(one)[0]
    assert torch.equal(torch.random.get_rng_state(), before)
    others = ask(pair[1], TEXTS[1:], temperature=1.0, seed=4)
    assert backend.generate([*others, *one, *ask(pair[1], TEXTS)])[len(others)] == first
    drawn = {backend.generate(ask(pair[1], TEXTS[:1], temperature=1.0, seed=s))[0].tokens for s in range(6)}
    assert len(drawn) > 1
    assert backend.generate(ask(pair[1], TEXTS[:1], temperature=2.0, top_k=1)) == backend.generate(
        ask(pair[1], TEXTS[:1])
    )


def test_scores_are_those_of_the_engine(pair: tuple[Any, Any]) -> None:
    best = Engine(*pair, EOS).generate(ask(pair[1], TEXTS[:1]))[0].tokens
    start = ask(pair[1], TEXTS[:1])[0].prompt
    pairs = [(start, best[:3]), (start, (9,)), ((5,), (7, 8, 9))]
    told: dict[int, Any] = {}
    found = Reference(*pair, EOS).score(pairs, told.__setitem__)
    assert [told[i] for i in range(3)] == found
    for (value, greedy), (right, same) in zip(found, Engine(*pair, EOS).score(pairs), strict=True):
        assert value == pytest.approx(right, abs=1e-4)
        assert greedy == same
    assert found[0][1]


def test_each_completion_is_told(pair: tuple[Any, Any]) -> None:
    told: dict[int, Any] = {}
    found = Reference(*pair, EOS, max_rows=2).generate(ask(pair[1], TEXTS), told.__setitem__)
    assert [told[i] for i in range(len(TEXTS))] == found


def test_memory_that_runs_out_halves_the_batch(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    right = Reference(*pair, EOS).generate(ask(pair[1], TEXTS))
    real = module._generate

    def small(model: Any, requests: list[Request], stops: Any) -> Any:
        if len(requests) > 2:
            raise MemoryError
        return real(model, requests, stops)

    monkeypatch.setattr(module, "_generate", small)
    assert Reference(*pair, EOS).generate(ask(pair[1], TEXTS)) == right


def test_what_it_cannot_serve_is_said(pair: tuple[Any, Any]) -> None:
    backend = Reference(*pair, EOS)
    with pytest.raises(InputError, match="tenants were named: math"):
        backend.generate(ask(pair[1], TEXTS, tenant="math"))
    with pytest.raises(InputError, match="serves one model alone"):
        backend.score([((1,), (2,))], tenants=["math"])
    with pytest.raises(InputError, match="context is 768"):
        backend.generate(ask(pair[1], TEXTS[:1], max_new_tokens=768))
    with pytest.raises(InputError, match="cannot be scored"):
        backend.score([((), (2,))])
    assert backend.tokenizer_of() is pair[1]
    assert backend.generate([]) == []
