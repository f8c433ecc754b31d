"""What a sweep asked and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field

from deltakit.pipeline.sweep.candidate import Candidate
from deltakit.pipeline.sweep.objective import Scores

__all__ = ["Trials"]


@dataclass
class Trials:
    """What was asked and found, in the order of asking. `errors`: the message of a candidate that failed, by id."""

    candidates: list[Candidate] = field(default_factory=list)
    scores: dict[str, Scores] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def like(self, candidate: Candidate) -> Candidate:
        """The first candidate that is the same model; itself, if it is that one."""
        return next((c for c in self.candidates if c.key == candidate.key), candidate)
