from __future__ import annotations

from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.modes import MODES
from deltakit.generate.modes.tir import session, waiting
from deltakit.generate.play import Ask, Run, perform
from deltakit.generate.request import Completion
from deltakit.sandbox.outcome import Outcome

ASK = Ask("Q", 100, ("\n\n### Instruction:",), seed=5)
STEP = "First\n```python\nx = 2\nprint(x)\n```\n"


def told(mode: str, turns: list[Completion | str], outcomes: list[Outcome], ask: Ask = ASK) -> tuple[str, list[Any]]:
    """The text of the mode and its effects; turns and outcomes are given out one after the other."""
    effects: list[Any] = []
    texts, found = iter(turns), iter(outcomes)

    def answer(effect: Any) -> Any:
        effects.append(effect)
        if isinstance(effect, Run):
            return next(found)
        text = next(texts)
        return text if isinstance(text, Completion) else Completion(text, (1,) * 10, "stop")

    return perform([MODES.parse(mode).play(ask)], lambda asked: [answer(e) for _, e in asked])[0], effects


def ok(stdout: str) -> Outcome:
    return Outcome(stdout, "", "ok", 0.1)


def test_a_turn_of_program_and_output_then_the_box():
    text, (first, run, second) = told("tir", [STEP, Completion("So $\\boxed{2}$.", (1,), "eos")], [ok("2\n")])
    assert text == f"{STEP}```output\n2\n```\nSo $\\boxed{{2}}$."
    assert run == Run("x = 2\nprint(x)\n", 10.0)
    assert first.stop == ("```output", "\n\n### Instruction:")
    assert second.prompt == f"Q{STEP}```output\n2\n```\n"
    assert (first.max_new_tokens, second.max_new_tokens) == (100, 90)
    assert (first.seed, second.seed != 5) == (5, True)


def test_later_programs_see_what_earlier_ones_defined(box):
    more = "```python\nprint(x + 1)\n```\n"
    fails = "```python\nprint('lost'); y = 1 / 0\n```\n"
    turns = [STEP, fails, more, "$\\boxed{3}$"]
    effects: list[Any] = []
    texts = iter(turns)

    def answer(effect: Any) -> Any:
        effects.append(effect)
        return box.run([effect])[0] if isinstance(effect, Run) else Completion(next(texts), (1,), "stop")

    text = perform([MODES.parse("tir").play(ASK)], lambda asked: [answer(e) for _, e in asked])[0]
    outputs = [part.partition("\n```")[0] for part in text.split("```output\n")[1:]]
    assert outputs == ["2", "ZeroDivisionError: division by zero", "3"]  # what they printed comes once


@pytest.mark.parametrize(
    ("turn", "reason", "program"),
    [
        (STEP, "stop", "x = 2\nprint(x)\n"),
        (STEP, "eos", "x = 2\nprint(x)\n"),
        ("```python\nprint(1)\n", "stop", "print(1)\n"),  # the stop string stood where the end was due
        ("```python\nprint(1)\n", "eos", None),
        ("```python\nprint(1)", "length", None),
        (f"So $\\boxed{{2}}$.\n{STEP}", "stop", None),
        ("```python\nprint('\\\\boxed{2}')\n```", "stop", "print('\\\\boxed{2}')\n"),  # a box inside a program is none
        (STEP + "and so on", "stop", None),
        ("```output\n2\n```", "stop", None),
        ("no program", "stop", None),
        ("", "eos", None),
    ],
)
def test_which_program_waits(turn, reason, program):
    assert waiting(Completion(turn, (), reason)) == program


def test_rounds_bound_the_programs():
    text, effects = told("tir(rounds=2)", [STEP] * 3, [ok("2\n")] * 2)
    assert sum(isinstance(e, Run) for e in effects) == 2
    assert text.count("```output") == 2
    assert text.endswith(STEP)


def test_tokens_of_all_rounds_are_the_item_s():
    text, effects = told("tir", [STEP] * 9, [ok("2\n")] * 9, Ask("Q", 25))
    assert [e.max_new_tokens for e in effects if isinstance(e, Ask)] == [25, 15, 5]
    assert text.endswith(STEP)


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (ok("a" * 50 + "b" * 50), "a" * 10 + "..." + "b" * 10),
        (ok(""), ""),
        (Outcome("printed\n", "NameError: name 'y' is not defined", "error", 0.1), "NameError:...ot defined"),
        (Outcome("", "over the time limit", "timeout", 10.0), "over the time limit"),
    ],
)
def test_what_the_model_reads(outcome, shown):
    text, _ = told("tir(longest=20)", [STEP, "done"], [outcome])
    assert text == f"{STEP}```output\n{shown}\n```\ndone"


def test_an_open_block_is_closed_before_its_output():
    text, _ = told("tir", ["```python\nprint(1)\n", "end"], [ok("1\n")])
    assert text == "```python\nprint(1)\n```\n```output\n1\n```\nend"
    text, _ = told("tir", ["```python\nprint(1)\n```", "end"], [ok("1\n")])
    assert text == "```python\nprint(1)\n```\n```output\n1\n```\nend"


def test_a_program_alone_is_run_as_it_is():
    assert session([], "print(1)") == "print(1)"


def test_settings_out_of_range():
    for mode in ("tir(rounds=0)", "tir(seconds=-1)", "tir(longest=1)"):
        with pytest.raises(RecipeError, match="tir"):
            MODES.parse(mode)


@pytest.fixture(scope="module")
def box():
    """A sandbox; skips where nothing isolates."""
    from deltakit.sandbox import Sandbox
    from deltakit.sandbox.probe import available

    found = available()
    if found is None:
        pytest.skip("nothing isolates programs here")
    with Sandbox(found, jobs=1, imports=()) as made:
        yield made
