from typing import Any

import pytest

from deltakit.errors import InputError, RecipeError, ResourceError
from deltakit.generate import engine as module
from deltakit.generate.engine import Engine
from deltakit.generate.request import Request
from support.architectures import tiny
from support.running import running


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return running()


def ask(tokenizer: Any, texts: list[str], **given: Any) -> list[Request]:
    return [Request(tuple(tokenizer(text)["input_ids"]), **{"max_new_tokens": 8, **given}) for text in texts]


EOS = frozenset({2})
TEXTS = ["Question: one", "two apples and three pears", "x", "How many does Tom have?", "Stop here."]


def test_answers_come_in_the_order_asked_whatever_the_batches(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    asked = ask(tokenizer, TEXTS)
    wide = Engine(model, tokenizer, EOS).generate(asked)
    assert Engine(model, tokenizer, EOS, batch_tokens=20).generate(asked) == wide
    assert Engine(model, tokenizer, EOS, max_rows=1).generate(asked) == wide
    assert all(tokenizer.decode(c.tokens, skip_special_tokens=True) == c.text for c in wide)


def test_text_ends_before_the_stop_string_and_tokens_behind_it(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    free = Engine(model, tokenizer, EOS).generate(ask(tokenizer, TEXTS))[0]
    stop = free.text[3]
    (found,) = Engine(model, tokenizer, EOS).generate(ask(tokenizer, TEXTS[:1], stop=(stop,)))
    assert found.text == free.text.split(stop)[0]
    assert found.reason == "stop"
    assert found.tokens == free.tokens[: len(found.tokens)]
    assert len(found.tokens) < len(free.tokens)


def test_each_completion_is_told_as_it_comes(pair: tuple[Any, Any]) -> None:
    told: dict[int, Any] = {}
    found = Engine(*pair, EOS, max_rows=2).generate(ask(pair[1], TEXTS), told.__setitem__)
    assert [told[i] for i in range(len(TEXTS))] == found


def test_memory_that_runs_out_halves_the_batch(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = pair
    expected = Engine(model, tokenizer, EOS).generate(ask(tokenizer, TEXTS))
    real, sizes = module.decode, []

    def small(model: Any, requests: list[Request], stops: Any) -> Any:
        sizes.append(len(requests))
        if len(requests) > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ...")
        return real(model, requests, stops)

    monkeypatch.setattr(module, "decode", small)
    assert Engine(model, tokenizer, EOS, form="static").generate(ask(tokenizer, TEXTS)) == expected
    assert sizes == [5, 2, 2, 1]


def test_memory_for_not_even_one_row_is_an_error(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(module, "decode", full)
    with pytest.raises(ResourceError, match="single row"):
        Engine(*pair, EOS, form="static").generate(ask(pair[1], TEXTS))


def test_both_forms_say_the_same_and_a_wrong_one_is_refused(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    asked = ask(tokenizer, TEXTS, stop=("e",)) + ask(tokenizer, TEXTS, temperature=1.0, top_p=0.9, seed=3)
    pairs = [((1, 5, 9), (30, 31)), ((4,), (8, 9, 10, 11)), ((1, 5, 9), (7,))]
    slots, static = (Engine(model, tokenizer, EOS, form=form) for form in ("slots", "static"))
    assert slots.over_slots
    assert not static.over_slots
    assert slots.generate(asked) == static.generate(asked)
    for found, want in zip(slots.score(pairs), static.score(pairs), strict=True):
        assert found == pytest.approx(want, abs=1e-4)
    with pytest.raises(RecipeError, match="form 'paged'"):
        Engine(model, tokenizer, EOS, form="paged")


def test_an_unknown_architecture_runs_in_static_batches(pair: tuple[Any, Any]) -> None:
    model = tiny("bert").model
    assert not Engine(model, pair[1], EOS).over_slots
    with pytest.raises(InputError, match="'bert' has not been proved token-exact"):
        Engine(model, pair[1], EOS, form="slots")


def test_requests_beyond_the_context_are_counted_before_anything_runs(pair: tuple[Any, Any]) -> None:
    asked = ask(pair[1], TEXTS) + [Request((5,) * 765, 8)]
    with pytest.raises(InputError, match=r"1 of 6 requests .* 773 tokens, the model's context is 768"):
        Engine(*pair, EOS).generate(asked)


def test_nothing_asked_nothing_answered(pair: tuple[Any, Any]) -> None:
    assert Engine(*pair, EOS).generate([]) == []


def test_scores_come_in_order_whatever_the_batches(pair: tuple[Any, Any]) -> None:
    pairs = [([1, 5, 9], [30, 31]), ([4], [8, 9, 10, 11]), (list(range(3, 40)), [77])]
    wide = Engine(*pair, EOS).score(pairs)
    narrow = Engine(*pair, EOS, batch_tokens=1).score(pairs)
    assert [x for x, _ in narrow] == pytest.approx([x for x, _ in wide], abs=1e-4)


def test_an_empty_side_cannot_be_scored(pair: tuple[Any, Any]) -> None:
    with pytest.raises(InputError, match="empty context or continuation"):
        Engine(*pair, EOS).score([([], [5])])
