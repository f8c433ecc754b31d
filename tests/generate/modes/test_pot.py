from __future__ import annotations

from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Run, perform
from deltakit.generate.request import Completion
from deltakit.prompts import prompt_style
from deltakit.prompts.programs import COT_REQUEST
from deltakit.sandbox.outcome import Outcome

STYLE = prompt_style("pot", "grade")
ASK = Ask(STYLE.question("How many are 2 and 2?"), 100, STYLE.stop, temperature=0.5, seed=7)


def told(mode: str, response: str, outcomes: list[Outcome], ask: Ask = ASK) -> tuple[str, list[Any]]:
    """The text of the mode and its effects; the model answers a request for a program with `response`."""
    effects: list[Any] = []
    left = iter(outcomes)

    def answer(effect: Any) -> Any:
        effects.append(effect)
        if isinstance(effect, Run):
            return next(left)
        return Completion("By thinking. The answer is: 5" if COT_REQUEST in effect.prompt else response, (), "eos")

    return perform([MODES.parse(mode).play(ask)], lambda asked: [answer(e) for _, e in asked])[0], effects


def ok(stdout: str) -> Outcome:
    return Outcome(stdout, "", "ok", 0.1)


def test_what_the_program_prints_is_the_answer():
    text, (ask, run) = told("pot", "```python\nprint(2 + 2)\n```\n", [ok("working\n4\n")])
    assert text == "```python\nprint(2 + 2)\n```\n```output\nworking\n4\n```\nThe answer is: 4"
    assert run == Run("print(2 + 2)\n", 10.0)
    assert ask.stop == ("```output", *STYLE.stop)
    assert (ask.temperature, ask.seed) == (0.5, 7)


@pytest.mark.parametrize(
    ("response", "outcomes"),
    [
        ("I cannot write programs.", []),
        ("```python\n1 / 0\n```", [Outcome("3\n", "ZeroDivisionError: division by zero", "error", 0.1)]),
        ("```python\nx = 1\n```", [ok("\n")]),
        ("```python\nwhile True: print(1)\n```", [Outcome("1\n1\n", "over the time limit", "timeout", 10.0)]),
        ("```python\nprint(4)\nexit()\n```", [Outcome("4\n", "SystemExit: None", "exited", 0.1)]),
    ],
)
def test_a_program_that_gives_nothing_is_followed_by_a_chain_of_thought(response, outcomes):
    text, effects = told("pot", response, outcomes)
    assert text == "By thinking. The answer is: 5"
    assert effects[-1].prompt == ASK.prompt.replace(effects[0].prompt, effects[-1].prompt)
    assert "How many are 2 and 2?" in effects[-1].prompt
    assert "program" not in effects[-1].prompt
    assert effects[-1].stop == ASK.stop
    text, effects = told("pot(fallback=False)", response, outcomes)
    assert text == response
    assert len(effects) == 1 + len(outcomes)


def test_a_solution_that_is_only_defined_is_called():
    program = "```python\ndef solution():\n    return 4\n```"
    text, (_, first, second) = told("pot(seconds=3)", program, [ok(""), ok("4\n")])
    assert text.endswith("The answer is: 4")
    assert second == Run(f"{first.program}\nprint(solution())", 3.0)


def test_a_prompt_that_asks_for_no_program_is_refused():
    with pytest.raises(RecipeError, match="does not ask for a program"):
        told("pot", "", [], Ask("How many?", 10))
    assert told("pot(fallback=False)", "none", [], Ask("How many?", 10))[0] == "none"


def test_settings_out_of_range():
    with pytest.raises(RecipeError, match="seconds"):
        MODES.parse("pot(seconds=0)")
