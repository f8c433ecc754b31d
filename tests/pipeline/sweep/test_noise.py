"""Luck measured where the truth is known: candidates that are equal, and one that is really better."""

from typing import Any

import numpy as np
import pytest

from deltakit.pipeline.sweep.noise import behind, luck

WEIGHTS = {"a": 1.0}


def drawn(accuracy: float, seed: int, n: int = 200) -> dict[str, Any]:
    values = (np.random.default_rng(seed).random(n) < accuracy).astype(float)
    error = float(values.std(ddof=1) / n**0.5)
    return {"a": {"accuracy": float(values.mean()), "stderr": error, "n": n, "items": dict(enumerate(values.tolist()))}}


def test_the_best_of_equals_looks_better_than_it_is() -> None:
    """Thirty candidates of true accuracy 0.5 on 200 items each: the best scores about 0.5 + 2.04 standard errors."""
    excess, told = [], []
    for seed in range(20):
        found = sorted((drawn(0.5, 1000 * seed + i) for i in range(30)), key=lambda s: -s["a"]["accuracy"])
        measured = luck(found, WEIGHTS, seed)
        assert measured is not None
        excess.append(found[0]["a"]["accuracy"] - 0.5)
        told.append(measured.optimism)
    assert np.mean(excess) == pytest.approx(2.04 * (0.25 / 200) ** 0.5, rel=0.15)
    assert 0.4 * np.mean(excess) < np.mean(told) < 1.4 * np.mean(excess)


def test_one_that_is_really_better_is_no_luck() -> None:
    measured = luck([drawn(0.9, 1), drawn(0.5, 2), drawn(0.4, 3)], WEIGHTS)
    assert measured is not None
    assert abs(measured.optimism) < 0.005
    assert measured.wins == (1.0, 0.0, 0.0)


def test_the_same_scores_give_the_same_numbers() -> None:
    found = [drawn(0.5, i) for i in range(3)]
    assert luck(found, WEIGHTS) == luck(found, WEIGHTS)
    assert luck([found[0]], WEIGHTS) is not None
    assert sum(luck(found, WEIGHTS).wins) == pytest.approx(1, abs=1e-3)  # type: ignore[union-attr]


def test_without_items_nothing_is_told() -> None:
    bare = {"a": {**drawn(0.5, 1)["a"], "items": None}}
    fewer = drawn(0.5, 1, n=100)
    assert luck([bare, bare], WEIGHTS) is None
    assert luck([drawn(0.5, 1), fewer], WEIGHTS) is None
    assert luck([], WEIGHTS) is None


def test_a_candidate_is_within_noise_or_is_not() -> None:
    best = drawn(0.9, 1)
    assert behind(best, best, WEIGHTS).within_noise
    assert behind(best, drawn(0.88, 2), WEIGHTS).within_noise
    far = behind(best, drawn(0.5, 3), WEIGHTS)
    assert far.within_noise is False
    assert far.paired
    assert far.difference == pytest.approx(0.4, abs=0.1)
    lone = {"a": {"accuracy": 1.0, "stderr": None, "n": 1, "items": None}}
    assert behind(lone, lone, WEIGHTS).within_noise is None
