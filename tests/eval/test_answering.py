from collections.abc import Sequence
from typing import Any

import pytest

from deltakit.errors import InputError
from deltakit.generate.play import Ask, Play, Run, Weigh, perform
from deltakit.generate.request import Completion, Request
from deltakit_eval.answering import Answering, Endings, fit


class Parrot:
    """A backend whose tokens are letters: it says its prompt again, as far as new tokens allow."""

    eos = frozenset({0})

    def __init__(self, context: int = 0) -> None:
        self.context = context
        self.asked: list[Request] = []

    def tokenizer_of(self, tenant: str | None = None) -> Any:
        return None

    def generate(self, requests: Sequence[Request], done: Any = None) -> list[Completion]:
        out = []
        for i, request in enumerate(requests):
            said = request.prompt[: request.max_new_tokens]
            whole = len(said) == len(request.prompt)
            out.append(Completion("".join(map(chr, said)), said, "eos" if whole else "length"))
            done(i, out[-1])
        self.asked += requests
        return out

    def score(self, pairs: Any, done: Any = None, tenants: Sequence[str | None] = ()) -> list[tuple[float, bool]]:
        return [(-float(len(continuation)), tenants[i] == "t") for i, (_, continuation) in enumerate(pairs)]


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def alone(item: int) -> Any:
    return letters, None


def again(ask: Ask, grow: int) -> Play:
    """Asks twice; the second prompt is longer."""
    (first,) = yield [ask]
    (second,) = yield [Ask(ask.prompt + "x" * grow, ask.max_new_tokens)]
    return f"{first.text}|{second.text}"


def everything(ask: Ask) -> Play:
    outcome, said, (total, greedy), other = yield [Run("1"), ask, Weigh("a", "bc"), Run("2")]
    return f"{outcome} {said.text} {total} {greedy} {other}"


def test_each_kind_is_answered_in_its_place_by_the_tenant() -> None:
    backend = Parrot()
    answers = Answering(backend, lambda i: (letters, "t"), run=lambda runs: [f"ran {r.program}" for r in runs])
    assert perform([everything(Ask("ab", 4)), everything(Ask("c", 4))], answers) == [
        "ran 1 ab -2.0 True ran 2",
        "ran 1 c -2.0 True ran 2",
    ]
    assert {r.tenant for r in backend.asked} == {"t"}


def test_each_item_is_asked_by_its_own_tenant_in_its_own_tokens() -> None:
    backend = Parrot()
    tenants = [(letters, "t"), (lambda text: letters(text.upper()), None)]
    plays = [everything(Ask("ab", 4)), everything(Ask("c", 4))]
    texts = perform(plays, Answering(backend, tenants.__getitem__, run=lambda runs: [0 for _ in runs]))
    assert texts == ["0 ab -2.0 True 0", "0 C -2.0 False 0"]
    assert [r.tenant for r in backend.asked] == ["t", None]


def test_a_prompt_that_outgrows_the_context_gets_what_room_is_left() -> None:
    backend = Parrot(context=8)
    answers = Answering(backend, alone)
    plays = [again(Ask("abcd", 4), 2), again(Ask("ab", 4), 6), again(Ask("ab", 4), 9)]
    assert perform(plays, answers) == ["abcd|ab", "ab|", "ab|"]
    assert [r.max_new_tokens for r in backend.asked] == [4, 4, 4, 2]
    assert (answers.endings.truncated, answers.endings.empty, answers.endings.texts) == (3, 2, 6)


def test_a_first_prompt_must_fit() -> None:
    backend = Parrot(context=8)
    answers = Answering(backend, alone, name="gsm8k: item {}".format)
    with pytest.raises(InputError, match="gsm8k: item 1: a prompt of 5 tokens and 4 after it exceed .* of 8"):
        perform([again(Ask("ab", 4), 1), again(Ask("abcde", 4), 1)], answers)
    assert backend.asked == []


def test_an_item_is_known_once() -> None:
    known: list[int] = []
    perform([again(Ask("ab", 4), 1), again(Ask("c", 4), 1)], Answering(Parrot(), alone, known=known.append))
    assert known == [0, 1]


def test_endings_are_counted() -> None:
    endings = Endings()
    endings.add("two?", Completion("4", (4,), "eos"))
    endings.add("two?", Completion(" \n", (5, 6), "stop"))
    endings.add("two?<think>", Completion("so", (7, 8), "length"))
    endings.add("two?<think>", Completion("so</think>4", (7, 8), "eos"))
    shares = {"truncated": 0.25, "empty": 0.25, "unclosed_thoughts": 0.25}
    assert endings.shares() == {"generated_tokens": 7, **shares}
    assert Endings().shares() == {"generated_tokens": 0, "truncated": 0, "empty": 0, "unclosed_thoughts": 0}


def test_lengths_that_fit_raise_nothing_and_an_unknown_context_holds_all() -> None:
    fit([(4, 4), (1, 1)], 8, str)
    fit([(400, 4)], 0, str)
    with pytest.raises(InputError) as caught:
        fit([(4, 4), (9, 4), (8, 1)], 8, "item {}".format)
    assert caught.value.message.startswith("item 1: a prompt of 9 tokens")
    assert "2 of 3" in caught.value.message
    assert "max-new-tokens" not in caught.value.remedy
    with pytest.raises(InputError) as caught:
        fit([(4, 6)], 8, str, generating=False)
    assert "max-new-tokens" not in caught.value.remedy


def test_a_text_that_takes_more_tokens_encoded_than_written_is_still_weighed() -> None:
    weighed: list[Any] = []

    class Scale(Parrot):
        def score(self, pairs: Any, done: Any = None, tenants: Sequence[str | None] = ()) -> list[tuple[float, bool]]:
            weighed.extend(pairs)
            return super().score(pairs, done, tenants)

    def weigh(context: str, more: str) -> Play:
        ((nats, _),) = yield [Weigh(context, more)]
        return str(nats)

    plays = [weigh("abcdef", "123"), weigh("abcd", "12345678"), weigh("ab", "12")]
    assert perform(plays, Answering(Scale(context=8), alone)) == ["-3.0", "-inf", "-2.0"]
    assert weighed == [(letters("bcdef"), letters("123")), (letters("ab"), letters("12"))]
