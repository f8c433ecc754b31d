from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deltakit.generate.play import Ask, Effect, Play, Run, Weigh, direct, perform
from deltakit.generate.request import Completion


def two_stage(ask: Ask) -> Play:
    (hint,) = yield [ask]
    (said,) = yield [replace(ask, prompt=ask.prompt + hint.text)]
    return str(said.text)


def vote(ask: Ask, k: int) -> Play:
    found = yield [replace(ask, seed=i) for i in range(k)]
    return "|".join(f.text for f in found)


def echo(asked: Sequence[tuple[int, Effect]]) -> list[Any]:
    return [Completion(f"<{e.prompt}{e.seed}>", (), "eos") for _, e in asked if isinstance(e, Ask)]


def test_everything_open_in_a_round_is_asked_together() -> None:
    rounds: list[list[int]] = []

    def answers(asked: Sequence[tuple[int, Effect]]) -> list[Any]:
        rounds.append([i for i, _ in asked])
        return echo(asked)

    plays = [direct(Ask("a", 4)), two_stage(Ask("b", 4)), vote(Ask("c", 4), 3)]
    assert perform(plays, answers) == ["<a0>", "<b<b0>0>", "<c0>|<c1>|<c2>"]
    assert rounds == [[0, 1, 2, 2, 2], [1]]


def test_no_plays_ask_nothing() -> None:
    assert perform([], lambda asked: 1 / 0) == []  # type: ignore[return-value,arg-type]


def test_a_play_may_end_without_asking() -> None:
    def silent() -> Play:
        return "said nothing"
        yield []

    assert perform([silent()], echo) == ["said nothing"]


def test_effects_of_all_kinds_come_back_in_order() -> None:
    def mixed() -> Play:
        run, (total, greedy) = yield [Run("print(1)"), Weigh("a", "b")]
        return f"{run} {total} {greedy}"

    assert perform([mixed()], lambda asked: ["1", (-2.0, True)]) == ["1 -2.0 True"]
