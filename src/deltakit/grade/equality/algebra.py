"""Algebra for many pairs of answers: several killable workers side by side, each pair decided once in a run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock

from deltakit.grade.answers import Form
from deltakit.grade.equality.equivalence import judge
from deltakit.grade.equality.worker import Compared, Worker

__all__ = ["Algebra", "Pair", "same_by_algebra", "shared_algebra"]

Pair = tuple[str, str]  # answer, gold
PAIRS_A_WORKER = 4  # a worker takes seconds to start: below so many pairs each, fewer are started


class Algebra:
    """Verdicts by algebra, kept: a pair that was decided within some seconds is not asked again.

    The verdict of a pair does not depend on which worker gave it or when; only a time-out depends on the machine.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = [Worker() for _ in range(workers or min(8, os.cpu_count() or 1))]
        self._known: dict[tuple[Pair, float], Compared] = {}
        self._lock = Lock()

    def same(self, answer: str, gold: str, seconds: float) -> Compared:
        """One pair."""
        self.settle([(answer, gold)], seconds)
        return self._known[(answer, gold), seconds]

    def settle(self, pairs: Iterable[Pair], seconds: float) -> int:
        """Decide all pairs that are not known yet, side by side; how many that were."""
        with self._lock:
            open_ = [pair for pair in dict.fromkeys(pairs) if (pair, seconds) not in self._known]
            if not open_:
                return 0
            count = max(1, min(len(self._workers), len(open_) // PAIRS_A_WORKER))
            queue = iter(open_)
            take = Lock()

            def serve(worker: Worker) -> None:
                while True:
                    with take:
                        pair = next(queue, None)
                    if pair is None:
                        return
                    self._known[pair, seconds] = worker.same(pair[0], pair[1], seconds)

            if count == 1:
                serve(self._workers[0])
            else:
                with ThreadPoolExecutor(count) as threads:
                    list(threads.map(serve, self._workers[:count]))
            return len(open_)

    def close(self) -> None:
        """End the processes; what is known stays."""
        for worker in self._workers:
            worker.close()


@cache
def shared_algebra() -> Algebra:
    """The one of this Python process."""
    return Algebra()


def same_by_algebra(answer: str, gold: str, form: Form, seconds: float = 5.0) -> bool:
    """Is an answer the gold one by every test there is, algebra last? What is not shown to be equal is not equal."""
    judged = judge(answer, gold, form)
    return shared_algebra().same(answer, gold, seconds).same if judged.same is None else judged.same
