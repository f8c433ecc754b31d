"""A tensor that is made whole is made once, whatever ranges and threads ask for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from deltakit.delta.once import Whole


def test_ranges_are_served_from_one_computation() -> None:
    calls = []

    def compute(name: str) -> np.ndarray:
        calls.append(name)
        return np.arange(12, dtype=np.float32).reshape(4, 3)

    made = Whole(compute)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda i: made.pull("a", i, i + 1), range(4)))
    assert np.array_equal(np.concatenate(rows), np.arange(12, dtype=np.float32).reshape(4, 3))
    assert calls == ["a"]


def test_only_the_last_few_are_kept() -> None:
    calls = []
    made = Whole(lambda name: calls.append(name) or np.zeros((1, 1), np.float32), kept=1)
    for name in ("a", "b", "b", "a"):
        made.pull(name, 0, 1)
    assert calls == ["a", "b", "a"]
