"""Ways from a prompt to an answer, by name: each is a frozen dataclass whose `play(ask)` is a generator of effects.

A task chooses one by `generation_kwargs: {mode: "NAME(key=value)"}`; `direct` is what is meant where none is named.
"""

from __future__ import annotations

from typing import Protocol

from deltakit.generate.play import Ask, Play
from deltakit.registry import Registry

__all__ = ["MODES", "Mode"]


class Mode(Protocol):
    """What every mode does."""

    def play(self, ask: Ask) -> Play:
        """One item's way to its answer; `ask` holds its prompt and how to draw. Returns the text to be graded."""
        ...


MODES = Registry(
    kind="mode",
    table={
        "best_of": "deltakit.generate.modes.best_of:BestOf",
        "direct": "deltakit.generate.modes.direct:Direct",
        "hints": "deltakit.generate.modes.hints:Hints",
        "pot": "deltakit.generate.modes.pot:Pot",
        "step_beam": "deltakit.generate.modes.step_beam:StepBeam",
        "tir": "deltakit.generate.modes.tir:Tir",
    },
    group="deltakit.modes",
)
