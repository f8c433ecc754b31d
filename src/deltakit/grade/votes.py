"""Several answers to one question: which of them are the same, and which wins the vote.

Source: self-consistency (Wang et al. 2022). Equal values do not split the vote: 18 and 18.00 are one answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from deltakit.grade.answers import Form
from deltakit.grade.equality.equivalence import judge

__all__ = ["camps", "tally", "vote"]


def camps(answers: Sequence[str | None], form: Form) -> list[int | None]:
    """For each answer the index of the first that is equal to it; None where there is no answer (None)."""
    firsts: list[int] = []
    found: list[int | None] = []
    known: dict[str, int] = {}
    for i, answer in enumerate(answers):
        if answer is None:
            found.append(None)
            continue
        if answer not in known:
            same = (j for j in firsts if _same(answer, answers[j], form))
            known[answer] = next(same, i)
            firsts += [i] if known[answer] == i else []
        found.append(known[answer])
    return found


def _same(answer: str, other: str | None, form: Form) -> bool:
    return other is not None and judge(answer, other, form).same is True


def tally(of: Sequence[int | None], weights: Sequence[float] | None = None) -> list[float]:
    """For each answer, given by its camp, the weight of the whole camp (each counts 1 without `weights`); 0: none."""
    totals: dict[int | None, float] = {}
    for camp, weight in zip(of, [1.0] * len(of) if weights is None else weights, strict=True):
        totals[camp] = totals.get(camp, 0.0) + weight
    return [0.0 if camp is None else totals[camp] for camp in of]


def vote(of: Sequence[int | None], weights: Sequence[float] | None = None) -> int | None:
    """The index of the winner: the first of the answers in the camp with the most weight. Of equal weights the earlier
    wins; no answer (None) never does: None if there is nothing else."""
    counts = tally(of, weights)
    standing = [i for i, camp in enumerate(of) if camp is not None]
    return max(standing, key=lambda i: counts[i]) if standing else None
