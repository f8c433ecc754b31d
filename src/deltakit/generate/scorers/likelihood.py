"""How likely the model itself finds an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltakit.generate.play import Ask, Weigh
from deltakit.generate.request import Completion
from deltakit.generate.scorers import Scoring

__all__ = ["Likelihood"]


@dataclass(frozen=True)
class Likelihood:
    """Mean log-likelihood per generated token (nats) of the text under the model itself, at temperature 1."""

    def score(self, ask: Ask, found: Sequence[Completion]) -> Scoring:
        """The text without its stop string is weighed; an empty one is below all others."""
        said = [i for i, c in enumerate(found) if c.text.strip()]
        weighed = (yield [Weigh(ask.prompt, found[i].text) for i in said]) if said else []
        scores = [float("-inf")] * len(found)
        for i, (total, _) in zip(said, weighed, strict=True):
            scores[i] = float(total) / max(1, len(found[i].tokens))
        return scores
