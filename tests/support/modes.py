"""Scorers run by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deltakit.generate.play import Ask
from deltakit.generate.request import Completion
from deltakit.generate.scorers import SCORERS


def scored(
    scorer: str, ask: Ask, found: Sequence[Completion], answer: Callable[[Any], Any] | None = None
) -> list[float]:
    """The scores that a scorer, given by its text, gives; each effect it wants is answered by `answer`."""
    steps = SCORERS.parse(scorer).score(ask, found)
    given: Any = None
    while True:
        try:
            wanted = steps.send(given)
        except StopIteration as end:
            return list(end.value)
        assert answer is not None, f"{scorer} wants {wanted}"
        given = [answer(effect) for effect in wanted]
