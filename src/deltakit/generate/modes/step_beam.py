"""A beam over steps: several next steps are drawn, a scorer keeps the best ways so far, until they end.

Source: the beam form of MindStar (Kang et al. 2024), whose scorer is a process reward model; with another scorer it is
no more than its interface. Best of n with the same scorer is often no worse, and cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deltakit import rng
from deltakit.errors import RecipeError
from deltakit.generate.play import Ask, Play
from deltakit.generate.request import Completion
from deltakit.generate.scorers import SCORERS
from deltakit.generate.stops import cut

__all__ = ["StepBeam"]


@dataclass(frozen=True)
class StepBeam:
    r"""Next steps are drawn, the scorer `by` keeps the best ways so far.

    Of each of the `keep` best ways `width` next steps are drawn, up to the next `step` string; the scorer sees whole
    texts. At most `most` steps; an item's own limit of new tokens holds for each way as a whole.
    """

    width: int = 4
    keep: int = 2
    by: str = "likelihood"
    step: str = "\n"
    most: int = 32
    temperature: float = 0.7

    def __post_init__(self) -> None:
        for name in ("width", "keep", "most"):
            if getattr(self, name) < 1:
                raise RecipeError(f"step_beam: {name} is {getattr(self, name)}", remedy="at least 1")
        if not self.step:
            raise RecipeError("step_beam: step is empty", remedy=r"the string between steps, e.g. '\n'")
        if not 0 < self.temperature <= 100:
            raise RecipeError(f"step_beam: temperature is {self.temperature}", remedy="above 0, e.g. 0.7")
        SCORERS.parse(self.by)

    def play(self, ask: Ask) -> Play:
        """The text of the best way; one that ended before any that did not."""
        scorer, ways = SCORERS.parse(self.by), [Completion("", (), "open")]
        for depth in range(self.most):
            going = [way for way in ways if way.reason == "open"]
            if not going:
                break
            asks = [self._next(ask, way, f"{depth}.{i}") for i, way in enumerate(going * self.width)]
            found = yield asks
            grown = [self._joined(ask, way, said) for way, said in zip(going * self.width, found, strict=True)]
            ended = [way for way in ways if way.reason != "open"]
            different: dict[str, Completion] = {}
            for way in ended + grown:
                different.setdefault(way.text, way)
            tried = list(different.values())
            scores = yield from scorer.score(ask, tried)
            ways = _best(tried, scores)[: self.keep]
        return next((way.text for way in ways if way.reason == "eos"), ways[0].text)

    def _next(self, ask: Ask, way: Completion, name: str) -> Ask:
        """The step after a way. The item's own stop strings, which may hold a step's, are looked for in whole texts."""
        return replace(
            ask,
            prompt=ask.prompt + way.text,
            max_new_tokens=ask.max_new_tokens - len(way.tokens),
            stop=(self.step,),
            temperature=ask.temperature or self.temperature,
            seed=rng.key(ask.seed, "step_beam", name),
        )

    def _joined(self, ask: Ask, way: Completion, said: Completion) -> Completion:
        """The way with its new step; its reason is "open" while it may go on."""
        tokens = (*way.tokens, *said.tokens)
        text, stopped = cut(way.text + said.text + (self.step if said.reason == "stop" else ""), ask.stop)
        if stopped or said.reason == "eos":
            return Completion(text, tokens, "eos")
        return Completion(text, tokens, "length" if len(tokens) >= ask.max_new_tokens else "open")


def _best(ways: Sequence[Completion], scores: Sequence[float]) -> list[Completion]:
    """The ways, the highest score first; of equal ones the earlier."""
    return [ways[i] for i in sorted(range(len(ways)), key=lambda i: -scores[i])]
