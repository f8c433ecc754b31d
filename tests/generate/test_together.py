"""Random mixes of requests: the same answers alone and together, over slots of any number, in static batches, and by
transformers' own `generate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit.generate.continuous.step import Steps
from deltakit.generate.engine import Engine
from deltakit.generate.reference import Reference
from deltakit.generate.request import Completion, Request
from support.running import running

TEMPLATE = tuple(range(100, 145))
EOS = frozenset({2, 40})


@cache
def pair() -> tuple[Any, Any]:
    return running()


@cache
def alone(request: Request) -> Completion:
    (found,) = Engine(*pair(), EOS).generate([request])
    return found


TAILS = st.lists(st.integers(3, 319), min_size=1, max_size=12).map(tuple)
PROMPTS = st.one_of(
    TAILS,  # some of one token
    TAILS.map(lambda tail: TEMPLATE + tail),
    st.sampled_from([(5,), TEMPLATE, TEMPLATE + tuple(range(150, 180)), TEMPLATE + tuple(range(150, 181))]),
)
DRAWN: Any = st.one_of(
    st.just({}),
    st.fixed_dictionaries({
        "temperature": st.sampled_from([0.5, 1.0, 3.0]), "top_p": st.sampled_from([1.0, 0.9, 1e-9]),
        "top_k": st.sampled_from([0, 1, 7, 1000]), "seed": st.integers(0, 3),
    }),
)  # fmt: skip
STOPS = st.sampled_from([(), ("e",), (" t", "ion"), ("</s>", "Q"), ("\u00e9",), ("a", "b", "c")])
REQUESTS = st.builds(
    lambda prompt, most, stop, drawn: Request(prompt, most, stop, **drawn), PROMPTS, st.integers(1, 14), STOPS, DRAWN
)


@contextmanager
def room_for(rows: int) -> Iterator[None]:
    """A decode step finds memory for so many rows."""
    real = Steps.decode

    def step(self: Any, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(tokens) > rows:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ...")
        return real(self, tokens, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Steps, "decode", step)
        yield


@settings(max_examples=12, derandomize=True, deadline=None)
@given(
    st.lists(REQUESTS, max_size=14), st.integers(1, 6), st.integers(1, 80), st.integers(1, 700), st.integers(1, 6),
    st.integers(1, 5),
)  # fmt: skip
def test_answers_are_those_of_each_request_alone(
    asked: list[Request], rows: int, chunk: int, tokens: int, fitting: int, room: int
) -> None:
    want = [alone(request) for request in asked]
    told: dict[int, Completion] = {}

    def done(i: int, found: Completion) -> None:
        assert i not in told
        told[i] = found

    limits: Any = {"max_rows": rows, "batch_tokens": tokens, "chunk": chunk}
    with room_for(fitting), pytest.MonkeyPatch.context() as patch:
        patch.setattr("deltakit.generate.continuous.scheduler._ROOM", room)
        assert Engine(*pair(), EOS, **limits).generate(asked, done) == want
    assert [told[i] for i in range(len(asked))] == want
    assert Engine(*pair(), EOS, form="static", **limits).generate(asked) == want
    greedy = [i for i, request in enumerate(asked) if request.temperature == 0.0]
    found = Reference(*pair(), EOS, max_rows=rows).generate([asked[i] for i in greedy])
    assert found == [want[i] for i in greedy]


@settings(max_examples=12, derandomize=True, deadline=None)
@given(st.lists(st.tuples(PROMPTS, TAILS), max_size=10), st.integers(1, 6), st.integers(1, 80), st.integers(1, 400))
def test_scores_are_those_of_each_pair_alone(
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]], rows: int, chunk: int, tokens: int
) -> None:
    want = Reference(*pair(), EOS).score(pairs)
    limits: Any = {"max_rows": rows, "batch_tokens": tokens, "chunk": chunk}
    for form in ("slots", "static"):
        found = Engine(*pair(), EOS, form=form, **limits).score(pairs)
        assert [greedy for _, greedy in found] == [greedy for _, greedy in want]
        assert all(abs(one - other) < 1e-3 for (one, _), (other, _) in zip(found, want, strict=True))
