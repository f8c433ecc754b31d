"""The pump: order, bounds, errors and interrupts, for any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from deltakit.checkpoint.pump import Progress, Shared, cores, pump, silent

THREADS = [0, 1, 2, 8]


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_results_come_in_the_items_order(threads: int, count: int) -> None:
    def work(i: int) -> int:
        time.sleep(0.001 * (i % 3))
        return i * i

    assert list(pump(range(count), work, threads=threads)) == [(i, i * i) for i in range(count)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_no_more_than_the_bound_is_in_hand(threads: int) -> None:
    taken, finished = [], []

    def items() -> Iterator[int]:
        for i in range(30):
            taken.append(i)
            yield i

    for item, _ in pump(items(), lambda i: i, threads=threads):
        finished.append(item)
        assert len(taken) - len(finished) <= threads + 1


@pytest.mark.parametrize("threads", [2, 4])
def test_work_goes_on_ahead_of_a_busy_caller(threads: int) -> None:
    begun: list[int] = []
    made = pump(range(30), lambda i: begun.append(i), threads=threads, ahead=8)
    next(made)
    deadline = time.monotonic() + 5
    while len(begun) < threads + 8 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sorted(begun) == list(range(threads + 8))
    made.close()


@pytest.mark.parametrize("threads", THREADS)
def test_each_item_is_fetched_ahead_at_most_once(threads: int) -> None:
    ahead: list[int] = []
    list(pump(range(10), lambda i: i, threads=threads, prefetch=ahead.append))
    assert ahead == sorted(set(ahead))
    assert set(range(1, 10)) <= set(ahead)


@pytest.mark.parametrize("threads", THREADS)
def test_an_error_stops_all_and_passes_on(threads: int) -> None:
    begun = []

    def work(i: int) -> int:
        begun.append(i)
        if i == 3:
            raise ValueError("three")
        return i

    results: list[int] = []
    with pytest.raises(ValueError, match="three"):
        results.extend(item for item, _ in pump(range(1000), work, threads=threads))
    assert results == [0, 1, 2]
    assert len(begun) < 30
    assert not [t for t in threading.enumerate() if t.name.startswith("deltakit")]


def test_work_is_told_to_stop_when_the_consumer_leaves() -> None:
    stop = threading.Event()

    def work(i: int) -> bool:
        return stop.wait(10) if i else False

    begin = time.perf_counter()
    results = pump(range(5), work, threads=2, stop=stop)
    assert next(results) == (0, False)
    results.close()
    assert time.perf_counter() - begin < 5
    assert not [t for t in threading.enumerate() if t.name.startswith("deltakit")]


def test_an_interrupt_in_the_work_passes_on() -> None:
    def work(i: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(pump(range(3), work, threads=2))


def test_progress_from_many_threads_loses_nothing() -> None:
    class Slow:
        def __init__(self) -> None:
            self.done = 0
            self.calls: list[str] = []

        def start(self, what: str, total: int, unit: str = "B") -> None:
            self.calls.append(f"start {what} {total} {unit}")

        def advance(self, n: int, note: str = "") -> None:
            before = self.done
            time.sleep(0.0001)
            self.done = before + n

        def stop(self) -> None:
            self.calls.append("stop")

    inner = Slow()
    shared = Shared(inner)
    shared.start("x", 5, "items")
    list(pump(range(100), lambda i: shared.advance(1), threads=8))
    shared.stop()
    assert inner.done == 100
    assert inner.calls == ["start x 5 items", "stop"]


def test_silence() -> None:
    progress: Progress = silent
    progress.start("x", 1)
    progress.advance(1, "note")
    progress.stop()
    assert cores() >= 1
