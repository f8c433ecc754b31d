from collections.abc import Sequence
from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Effect, Weigh, perform
from deltakit.generate.request import Completion

DRAWN = ["long and wrong: 7", "18", "The answer is: 18.", "The answer is: 18.00"]
LIKELY = {"long and wrong: 7": -1.0, "18": -9.0, "The answer is: 18.": -6.0, "The answer is: 18.00": -4.0}


def told(mode: str, ask: Ask) -> tuple[str, list[Any]]:
    """The text of the mode, and what it asked. Drawn in turn from DRAWN, one token a word."""
    asked: list[Any] = []

    def answers(effects: Sequence[tuple[int, Effect]]) -> list[Any]:
        out: list[Any] = []
        for _, effect in effects:
            if isinstance(effect, Weigh):
                out.append((LIKELY[effect.continuation], False))
            else:
                text = DRAWN[len(out)]
                out.append(Completion(text, tuple(range(len(text.split()))), "eos"))
        asked.extend(effect for _, effect in effects)
        return out

    return perform([MODES.parse(mode).play(ask)], answers)[0], asked


@pytest.mark.parametrize(
    ("by", "chosen"),
    [
        ("likelihood", 0),  # -1/4 a token; -9, -6/4, -4/4
        ("length", 1),
        ("length(prefer='long')", 0),
        ("majority", 2),
        ("majority(form='number', weights='likelihood')", 2),
        ("program(entry='builtins:zip')", None),
    ],
)
def test_the_scorer_chooses(by: str, chosen: int | None) -> None:
    mode = f"best_of(n=4, by={by!r})"
    if chosen is None:
        with pytest.raises(Exception, match="zip"):
            told(mode, Ask("Q", 9))
    else:
        assert told(mode, Ask("Q", 9))[0] == DRAWN[chosen]


def test_each_draw_has_a_seed_of_its_own() -> None:
    asks = told("best_of(n=3, by='length')", Ask("Q", 9, seed=5))[1]
    assert len({ask.seed for ask in asks}) == 3
    assert {ask.temperature for ask in asks} == {0.7}
    again = told("best_of(n=4, by='length')", Ask("Q", 9, seed=5, temperature=1.5))[1]
    assert [ask.seed for ask in again[:3]] == [ask.seed for ask in asks]
    assert {ask.temperature for ask in again} == {1.5}
    other = told("best_of(n=3, by='length')", Ask("Q", 9, seed=6))[1]
    assert not {ask.seed for ask in other} & {ask.seed for ask in asks}


@pytest.mark.parametrize("mode", ["best_of(n=0)", "best_of(temperature=0)", "best_of(by='reward')", "best_of(m=3)"])
def test_parameters_are_checked(mode: str) -> None:
    with pytest.raises(RecipeError):
        MODES.parse(mode)
