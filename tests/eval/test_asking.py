from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.play import Ask, Weigh, perform
from deltakit.generate.request import Completion
from deltakit_eval.asking import ask_of, pair_of, play_of, request_of

GREEDY = {"until": ["\n\n", ""], "do_sample": False, "temperature": 0.0, "max_gen_toks": 6}
DRAWN = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 5}


def letters(text: str) -> list[int]:
    """A tokenizer with BOS 1 whose token is a letter."""
    return [1, *(ord(letter) for letter in text)]


def said(text: str) -> Any:
    return lambda asked: [Completion(text, (), "eos") for _ in asked]


def test_settings_of_a_task_become_an_ask() -> None:
    assert ask_of("two", GREEDY).stop == ("\n\n",)
    assert ask_of("two", {**GREEDY, "until": "stop"}).stop == ("stop",)
    assert ask_of("two", {}) == Ask("two", 256, seed=ask_of("two", {}).seed)
    assert ask_of("two", GREEDY, max_new_tokens=9).max_new_tokens == 9
    asked = ask_of("two", DRAWN)
    assert (asked.temperature, asked.top_p, asked.top_k) == (0.7, 0.9, 5)
    assert ask_of("two", {**DRAWN, "do_sample": False, "temperature": 0.0}).top_k == 0


def test_seeds_tell_runs_prompts_and_repeats_apart_and_nothing_else() -> None:
    asks = [ask_of(c, DRAWN, seed=s, repeat=r) for c in ("a", "b") for s in (0, 1) for r in (0, 1)]
    assert len({ask.seed for ask in asks}) == 8
    assert ask_of("a", DRAWN, seed=1, repeat=1) == asks[3]


def test_unknown_settings_and_modes_are_errors_with_a_suggestion() -> None:
    with pytest.raises(RecipeError, match="repetition_penalty"):
        ask_of("two", {"repetition_penalty": 1.1})
    with pytest.raises(RecipeError) as caught:
        play_of("two", {"mode": "dirct"})
    assert "direct" in str(caught.value.remedy)


def test_the_default_mode_is_one_answer() -> None:
    assert perform([play_of("a", GREEDY), play_of("b", {**GREEDY, "mode": "direct"})], said("4")) == ["4", "4"]


def test_a_thought_that_the_prompt_opens_is_opened_in_the_text() -> None:
    (text,) = perform([play_of("User: two?\nAssistant: <think>\n", GREEDY)], said("hm</think>2"))
    assert text == "<think>\nhm</think>2"


def test_an_ask_becomes_a_request() -> None:
    request = request_of(ask_of("ab", DRAWN), letters, "tenant")
    assert (request.prompt, request.tenant, request.temperature) == ((1, 97, 98), "tenant", 0.7)
    assert request.seed == ask_of("ab", DRAWN).seed != 0
    assert request_of(ask_of("ab", GREEDY), letters).seed == 0


def test_context_and_continuation_are_cut_between_tokens() -> None:
    assert pair_of(Weigh("ab", "cd"), letters) == ([1, 97, 98], [99, 100])
    assert pair_of(Weigh("ab  ", "c"), letters) == ([1, 97, 98], [32, 32, 99])
    assert pair_of(Weigh("", "c"), letters) == ([1], [99])
    assert pair_of(Weigh("", "c"), lambda text: [ord(x) for x in text] or [1]) == ([1], [99])
    assert pair_of(Weigh("ab", "cd"), lambda text: [1, len(text)]) == ([1], [4])  # one token for both
    assert pair_of(Weigh("ab", "cd"), lambda text: [len(text)]) == ([0], [4])  # the same without BOS
