"""pass@k, maj@k and avg@k of one item from n >= k answers: estimates without bias, not the luck of the first k.

Source: pass@k, Chen et al. 2021 (Evaluating Large Language Models Trained on Code), equation 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb

from deltakit.errors import RecipeError

__all__ = ["at_k", "in_groups", "pass_at_k"]


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The chance that at least one of k answers, drawn from n without replacement, is among the `correct` ones."""
    if not 0 < k <= n or not 0 <= correct <= n:
        raise RecipeError(f"pass@{k} of {correct} right answers in {n}", remedy="1 <= k <= n and 0 <= correct <= n")
    return 1.0 - comb(n - correct, k) / comb(n, k)


def in_groups(n: int, k: int, score: Callable[[range], float]) -> float:
    """The mean of `score` over the n // k groups of k successive answers: each answer counts once, what is left over
    never does."""
    if not 0 < k <= n:
        raise RecipeError(f"groups of {k} in {n} answers", remedy="1 <= k <= n")
    groups = [range(at, at + k) for at in range(0, n - k + 1, k)]
    return sum(map(score, groups)) / len(groups)


def at_k(samples: int) -> list[int]:
    """The k that a run with so many answers an item reports: 2, 4, 8, ... and `samples` itself; none for one answer."""
    powers: Sequence[int] = [2**i for i in range(1, samples.bit_length()) if 2**i < samples]
    return [*powers, samples] if samples > 1 else []
