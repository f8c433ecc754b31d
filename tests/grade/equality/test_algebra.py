from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("math_verify")

from deltakit.grade.equality.algebra import Algebra, same_by_algebra, shared_algebra  # noqa: E402
from deltakit.grade.equality.worker import Compared, Worker  # noqa: E402

ENDLESS = "10^{10^{10^{10}}}"


@pytest.fixture(scope="module")
def algebra() -> Iterator[Algebra]:
    made = Algebra(workers=2)
    yield made
    made.close()


def test_pairs_are_decided_side_by_side_as_one_by_one(algebra: Algebra) -> None:
    pairs = [(f"(x+{i})^2", f"x^2+{2 * i}x+{i * i + i % 2}") for i in range(12)]
    assert algebra.settle([*pairs, *pairs], 20) == 12
    assert [algebra.same(*pair, 20).same for pair in pairs] == [i % 2 == 0 for i in range(12)]
    assert sum(worker._process is not None for worker in algebra._workers) == 2


def test_a_verdict_is_kept_for_its_limit(algebra: Algebra, monkeypatch: pytest.MonkeyPatch) -> None:
    assert algebra.same("x+x", "2x", 20).same
    asked: list[float] = []

    def answer(worker: Worker, one: str, other: str, seconds: float) -> Compared:
        asked.append(seconds)
        return Compared(False, "timeout")

    monkeypatch.setattr(Worker, "same", answer)
    assert algebra.same("x+x", "2x", 20).same
    assert not algebra.same("x+x", "2x", 0.1).same
    assert asked == [0.1]


def test_one_endless_pair_does_not_hold_up_the_others(algebra: Algebra) -> None:
    pairs = [(ENDLESS, "3"), *((f"y+{i}", f"{i}+y") for i in range(9))]
    algebra.settle(pairs, 1.5)
    verdicts = [algebra.same(*pair, 1.5) for pair in pairs]
    assert verdicts[0] == Compared(False, "timeout")
    assert all(v.same for v in verdicts[1:])


def test_every_test_there_is() -> None:
    assert same_by_algebra("3.0", "3", "number")
    assert same_by_algebra(r"\{2,1\}", "1,2", "math")
    assert not same_by_algebra("x", "y", "text")
    assert not same_by_algebra(ENDLESS, "3", "math", seconds=0.3)


def test_there_is_one_of_a_process() -> None:
    assert shared_algebra() is shared_algebra()
