"""Nothing is asked twice, nothing is shared by mistake."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deltakit.generate import Engine
from deltakit.generate.request import Completion, Request
from deltakit_eval.answers import Answers
from deltakit_eval.remembered import Remembered, Seat
from support.running import running


class Counting:
    """A real engine that says what it was asked."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.asked, self.scored = engine, list[Request](), list[Any]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, requests: Sequence[Request], done: Any = lambda i, found: None) -> list[Completion]:
        self.asked += requests
        return self.engine.generate(requests, done)

    def score(self, pairs: Sequence[Any], done: Any = lambda i, found: None, tenants: Sequence[Any] = ()) -> Any:
        self.scored += pairs
        return self.engine.score(pairs, done, tenants)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(*running(), frozenset({2}))


REQUESTS = [Request((1, n, 5), 4) for n in (9, 8, 9, 7)]
PAIRS = [((1, 5), (6, 7)), ((1, 5), (6,)), ((1, 5), (6, 7))]


def test_an_answer_is_the_inner_backends_and_is_asked_once(engine: Engine, tmp_path: Path) -> None:
    expected = engine.generate(REQUESTS)
    for asked in (3, 0):  # a second process finds the first one's answers
        with Answers(tmp_path) as answers:
            inner = Counting(engine)
            told: dict[int, Completion] = {}
            found = Remembered(inner, answers, {None: "m"}).generate(REQUESTS, told.__setitem__)
            assert found == expected
            assert [told[i] for i in range(4)] == expected
            assert len(inner.asked) == asked


def test_likelihoods_are_remembered_too(engine: Engine) -> None:
    inner, expected = Counting(engine), engine.score(PAIRS)
    backend = Remembered(inner, Answers(), {None: "m"})
    for _ in range(2):
        told: dict[int, Any] = {}
        found = backend.score(PAIRS, told.__setitem__)
        assert [total for total, _ in found] == pytest.approx([total for total, _ in expected], abs=1e-5)
        assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
        assert [told[i] for i in range(3)] == found
    assert len(inner.scored) == 2


@pytest.mark.parametrize(
    "other",
    [
        Request((1, 9, 6), 4),
        Request((1, 9, 5), 5),
        Request((1, 9, 5), 4, stop=("x",)),
        Request((1, 9, 5), 4, temperature=1.0),
        Request((1, 9, 5), 4, temperature=1.0, seed=1),
        Request((1, 9, 5), 4, temperature=1.0, top_p=0.5),
        Request((1, 9, 5), 4, temperature=1.0, top_k=2),
    ],
)
def test_whatever_differs_in_a_request_is_another_question(engine: Engine, other: Request) -> None:
    inner = Counting(engine)
    backend = Remembered(inner, Answers(), {None: "m"})
    backend.generate([Request((1, 9, 5), 4)])
    backend.generate([other])
    assert inner.asked == [Request((1, 9, 5), 4), other]


def test_another_model_is_another_question(engine: Engine) -> None:
    answers, inner = Answers(), Counting(engine)
    for key in ("m", "n"):
        Remembered(inner, answers, {None: key}).generate(REQUESTS[:1])
    assert len(inner.asked) == 2


def test_what_was_told_before_a_kill_is_kept(engine: Engine, tmp_path: Path) -> None:
    def stop(i: int, found: Completion) -> None:
        if i:
            raise KeyboardInterrupt

    small = Engine(engine.model, engine.tokenizer, engine.eos, max_rows=1)
    with Answers(tmp_path) as answers, pytest.raises(KeyboardInterrupt):
        Remembered(small, answers, {None: "m"}).generate(REQUESTS, stop)
    with Answers(tmp_path) as answers:
        kept = len(answers)
        inner = Counting(engine)
        assert Remembered(inner, answers, {None: "m"}).generate(REQUESTS) == engine.generate(REQUESTS)
    assert kept >= 1
    assert len(inner.asked) == 3 - kept


def test_a_seat_asks_for_its_tenant() -> None:
    class Inner:
        context, eos = 8, frozenset({2})

        def tokenizer_of(self, tenant: str | None = None) -> Any:
            return f"tokenizer of {tenant}"

        def generate(self, requests: Sequence[Request], done: Any) -> Any:
            return [r.tenant for r in requests]

        def score(self, pairs: Sequence[Any], done: Any, tenants: Sequence[Any]) -> Any:
            return list(tenants)

    seat = Seat(Inner(), "math", frozenset({3}))
    assert (seat.context, seat.eos, seat.tokenizer_of()) == (8, {3}, "tokenizer of math")
    assert seat.generate([Request((1,), 1), Request((1,), 1, tenant="math")]) == ["math", "math"]
    assert seat.score(PAIRS) == ["math"] * 3
