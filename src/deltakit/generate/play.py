"""One item's way to its answer as a generator: it yields what it wants to know and is sent what was found.

A plain answer is one `Ask`. Two-stage hints, majority votes and tool use are generators that yield more; `perform` runs
many at once, so that everything that is open in a round is answered together, in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

__all__ = ["Ask", "Effect", "Play", "Run", "Weigh", "direct", "perform"]


@dataclass(frozen=True)
class Ask:
    """Go on from a prompt; answered by a `Completion`. Fields as in `Request`, the prompt as text."""

    prompt: str
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Weigh:
    """How likely a continuation is; answered by (log-likelihood in nats, whether greedy decoding would give it)."""

    context: str
    continuation: str


@dataclass(frozen=True)
class Run:
    """Run a program of the model in the sandbox; answered by a `deltakit.sandbox.Outcome`. `seconds` of wall time."""

    program: str
    seconds: float = 10.0


Effect: TypeAlias = Ask | Weigh | Run
Play: TypeAlias = Generator[Sequence[Effect], Sequence[Any], str]
Answers = Callable[[Sequence[tuple[int, Effect]]], Sequence[Any]]


def direct(ask: Ask) -> Play:
    """The plain mode: the text of one answer."""
    (found,) = yield [ask]
    return str(found.text)


def perform(plays: Sequence[Play], answers: Answers) -> list[str]:
    """The texts that the plays return, in their order. Each round, `answers` is given everything that is wanted, as
    (index of the play, effect), and gives the results in the same order."""
    out = [""] * len(plays)
    wanted = {i: found for i, play in enumerate(plays) if (found := _send(play, None, i, out)) is not None}
    while wanted:
        asked = [(i, effect) for i, effects in wanted.items() for effect in effects]
        results = iter(answers(asked))
        given = {i: list(islice(results, len(effects))) for i, effects in wanted.items()}
        wanted = {i: more for i, got in given.items() if (more := _send(plays[i], got, i, out)) is not None}
    return out


def _send(play: Play, given: Sequence[Any] | None, index: int, out: list[str]) -> Sequence[Effect] | None:
    """What the play wants next; None when it is over and its text stands in `out`."""
    try:
        wanted: Sequence[Effect] = play.send(given)  # type: ignore[arg-type]  # None starts a generator
    except StopIteration as end:
        out[index] = end.value
        return None
    return wanted
