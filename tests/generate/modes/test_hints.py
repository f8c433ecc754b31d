from collections.abc import Sequence
from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Effect, perform
from deltakit.generate.request import Completion


def told(mode: str, ask: Ask, hint: str = " add the parts ") -> tuple[str, list[Any]]:
    """The text of the mode, and what it asked, one stage after the other."""
    asked: list[Any] = []

    def answers(effects: Sequence[tuple[int, Effect]]) -> list[Any]:
        asked.extend(effect for _, effect in effects)
        return [Completion(hint if len(asked) == 1 else "so 4", (), "stop") for _ in effects]

    return perform([MODES.parse(mode).play(ask)], answers)[0], asked


def test_the_solution_is_asked_for_behind_the_hint() -> None:
    ask = Ask("Q: 2 + 2?\n", 200, stop=("\nQ:",), temperature=0.5, seed=3)
    text, (first, second) = told("hints", ask)
    assert text == "so 4"
    assert (first.prompt, second.prompt) == ("Q: 2 + 2?\nHint:", "Q: 2 + 2?\nHint: add the parts\nSolution:")
    assert (first.stop, first.max_new_tokens, first.temperature) == (("\n", "\nQ:"), 128, 0.5)
    assert (second.stop, second.max_new_tokens, second.seed) == (("\nQ:",), 200, 3)
    assert first.seed != 3


def test_other_words_and_a_shorter_hint() -> None:
    _, (first, second) = told("hints(ask='Think:', then='A:', most=5)", Ask("Q", 200))
    assert (first.prompt, second.prompt, first.max_new_tokens) == ("Q\nThink:", "Q\nThink: add the parts\nA:", 5)
    assert told("hints", Ask("Q", 7))[1][0].max_new_tokens == 7


def test_a_prompt_that_already_asks_is_not_asked_twice() -> None:
    _, (first, second) = told("hints(then='A:')", Ask("Q: 2 + 2?\nHint: ", 9))
    assert (first.prompt, second.prompt) == ("Q: 2 + 2?\nHint:", "Q: 2 + 2?\nHint: add the parts\nA:")


@pytest.mark.parametrize("prompt", ["Q: 2 + 2?", "Q: 2 + 2?\nHint:"])
def test_without_a_hint_the_solution_is_asked_for_plainly(prompt: str) -> None:
    assert told("hints", Ask(prompt, 9), hint=" \n")[1][1].prompt == "Q: 2 + 2?\nSolution:"


@pytest.mark.parametrize("mode", ["hints(ask=' ')", "hints(most=0)", "hints(hint='x')"])
def test_parameters_are_checked(mode: str) -> None:
    with pytest.raises(RecipeError):
        MODES.parse(mode)


def test_the_style_of_two_stages_fits_its_examples() -> None:
    from deltakit.prompts import prompt_style

    style = prompt_style("hsp2", "grade")
    prompt = style("What is 2 + 2?")
    _, (first, second) = told(style.mode, Ask(prompt, 9))
    assert first.prompt == prompt
    assert second.prompt == f"{prompt} add the parts\nA:"
