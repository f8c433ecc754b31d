from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Effect, perform
from deltakit.generate.request import Completion

# A digit is a step: the tree of all numbers, each step's draws are 1, 2, 3, ...; a way ends with its third digit.
REWARD = """
def largest(prompt, answers): return [float(a.replace("|", "")) for a in answers]
def shortest(prompt, answers): return [-len(a) for a in answers]
def trap(prompt, answers): return [{"3|": 9, "1|3|3": 99}.get(a, float(a.replace("|", "")) / 1e9) for a in answers]
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits.py").write_text(REWARD)
    monkeypatch.syspath_prepend(str(tmp_path))


def told(mode: str, ask: Ask) -> tuple[str, list[list[Ask]]]:
    """The text of the mode, and what it asked in each round."""
    rounds: list[list[Any]] = []

    def answers(effects: Sequence[tuple[int, Effect]]) -> list[Any]:
        rounds.append([effect for _, effect in effects])
        seen: dict[str, int] = {}
        out = []
        for wanted in rounds[-1]:
            seen[wanted.prompt] = seen.get(wanted.prompt, 0) + 1
            last = wanted.prompt.count("|") == 2
            out.append(Completion(str(seen[wanted.prompt]), (7,), "eos" if last else "stop"))
        return out

    return perform([MODES.parse(mode).play(ask)], answers)[0], rounds


def beam(name: str, **given: Any) -> str:
    settings = ", ".join(f"{k}={v!r}" for k, v in {"step": "|", "width": 3, **given}.items())
    return f"step_beam(by=\"program(entry='digits:{name}')\", {settings})"


def test_the_best_way_is_found_step_by_step() -> None:
    text, rounds = told(beam("largest", keep=1), Ask("Q", 9))
    assert text == "3|3|3"
    assert [len(asks) for asks in rounds] == [3, 3, 3]
    assert {ask.prompt for ask in rounds[2]} == {"Q3|3|"}
    assert {(ask.stop, ask.temperature, ask.max_new_tokens) for ask in rounds[2]} == {(("|",), 0.7, 7)}
    seeds = [ask.seed for asks in rounds for ask in asks]
    assert len(set(seeds)) == len(seeds)


def test_a_wider_beam_sees_what_a_narrow_one_misses() -> None:
    assert told(beam("trap", keep=1), Ask("Q", 9))[0][0] == "3"
    assert told(beam("trap", keep=9), Ask("Q", 9))[0] == "1|3|3"


def test_an_items_own_stop_string_ends_a_way_though_it_holds_a_step() -> None:
    text, rounds = told(beam("shortest", keep=1), Ask("Q", 9, stop=("|3|",)))
    assert (text, len(rounds)) == ("1", 2)


def test_new_tokens_and_steps_are_limited_for_a_way_as_a_whole() -> None:
    assert told(beam("largest", keep=2), Ask("Q", 2))[0] == "3|3|"
    assert told(beam("largest", keep=2, most=1), Ask("Q", 9))[0] == "3|"


@pytest.mark.parametrize("given", ["width=0", "keep=0", "most=0", "step=''", "temperature=0", "by='reward'"])
def test_parameters_are_checked(given: str) -> None:
    with pytest.raises(RecipeError):
        MODES.parse(f"step_beam({given})")
