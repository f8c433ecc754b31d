"""Without a GPU a recorded step is a plain call that writes to the same place each time: all but the replay itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from deltakit.generate.continuous import graphs
from deltakit.generate.continuous.fused import decoding_on
from deltakit.generate.continuous.graphs import SIZES, Graphed, steps_on
from deltakit.generate.continuous.hook import Piece, hooked
from deltakit.generate.continuous.slots import SlotCache
from deltakit.generate.continuous.step import Steps
from deltakit.generate.stops import Stops
from deltakit.generate.voices import Voices
from support.families import MADE, made
from support.running import running

PROMPTS = [[5, 6, 7], [9] * 12, [40, 41], [8, 7, 6, 5], [100]]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Any, Voices]]:
    model, tokenizer = running()
    with hooked(model):
        yield model, Voices({None: Stops(tokenizer, frozenset({2}))})


def called(body: Callable[[], torch.Tensor]) -> tuple[Callable[[], Any], torch.Tensor]:
    out = body()
    return lambda: out.copy_(body()), out


def prefilled(steps: Steps, rows: int) -> Steps:
    steps.prompts([(Piece(slot, 0, PROMPTS[slot]), 0) for slot in range(rows)], None)
    return steps


def walk(steps: Steps, rows: int, count: int) -> list[torch.Tensor]:
    """Logits of `count` greedy steps of the first `rows` prompts, in slots in reverse order."""
    order = list(range(rows))[::-1]
    tokens = torch.tensor([3] * rows)
    slots = torch.tensor(order, dtype=torch.int32)
    lengths = torch.tensor([len(PROMPTS[slot]) + 1 for slot in order], dtype=torch.int32)
    out = []
    for _ in range(count):
        logits = steps.decode(tokens, slots, lengths, [None] * rows, int(lengths.max())).clone()
        out.append(logits)
        tokens, lengths = logits.argmax(-1), lengths + 1
    return out


def graphed(pair: tuple[Any, Voices], **more: Any) -> Graphed:
    return Graphed(*pair, SlotCache.of(pair[0], 6, 40), record=called, **more)


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_padded_rows_change_nothing(pair: tuple[Any, Voices], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_FIRST", 0)
    steps = graphed(pair, sizes=(4, 8))
    found = walk(prefilled(steps, rows), rows, 6)
    right = walk(prefilled(Steps(*pair, SlotCache.of(pair[0], 5, 40)), rows), rows, 6)
    assert list(steps._static) == [4 if rows <= 4 else 8]
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        assert torch.equal(one.argmax(-1), other.argmax(-1))


def test_rows_that_leave_take_their_slots_along(pair: tuple[Any, Voices], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a step of many rows one of few: what the others left in the buffers must not write to their slots."""
    monkeypatch.setattr(graphs, "_FIRST", 0)
    steps = prefilled(graphed(pair, sizes=(8,)), 5)
    walk(steps, 5, 1)
    before = [held[1:5].clone() for held in (*steps.cache.keys, *steps.cache.values)]
    walk(steps, 1, 3)
    after = [held[1:5] for held in (*steps.cache.keys, *steps.cache.values)]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_whole_answers_are_the_same_with_recorded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are refilled, end and leave, through the engine itself."""
    from deltakit.generate.continuous import run
    from deltakit.generate.engine import Engine
    from deltakit.generate.request import Request

    asked = [Request(tuple(prompt) * (i + 1), 3 + 5 * i) for i, prompt in enumerate(PROMPTS * 2)]
    engine = Engine(*running(), frozenset({2}), max_rows=3)
    right = engine.generate(asked)
    recorded: list[Graphed] = []

    def steps(model: Any, voices: Voices, slots: int, positions: int, attend: Any) -> Steps:
        recorded.append(Graphed(model, voices, SlotCache.of(model, slots + 1, positions), attend, record=called))
        return recorded[-1]

    monkeypatch.setattr(graphs, "_FIRST", 1)
    monkeypatch.setattr(run, "steps_on", steps)
    assert engine.generate(asked) == right
    assert len(recorded[0]._static) >= 2


def test_a_size_is_recorded_when_it_is_worth_it(pair: tuple[Any, Voices]) -> None:
    steps = prefilled(graphed(pair), 2)
    walk(steps, 2, 4)
    assert not steps._static
    walk(steps, 2, 2)
    assert list(steps._static) == [2]


def test_more_rows_than_any_size_and_tenants_take_the_plain_step(
    pair: tuple[Any, Voices], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "_FIRST", 0)
    steps = prefilled(graphed(pair, sizes=(1, 2)), 3)
    walk(steps, 3, 2)
    one = torch.tensor([1], dtype=torch.int32)
    steps.decode(torch.tensor([3]), one - 1, one * 4, ["math"], 4)
    assert not steps._static


def test_a_step_that_cannot_be_recorded_runs_without(
    pair: tuple[Any, Voices], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(body: Any) -> Any:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(graphs, "_FIRST", 0)
    steps = prefilled(Graphed(*pair, SlotCache.of(pair[0], 6, 40), record=refuse), 2)
    right = walk(prefilled(Steps(*pair, SlotCache.of(pair[0], 5, 40)), 2), 2, 3)
    assert all(torch.equal(a, b) for a, b in zip(walk(steps, 2, 3), right, strict=True))
    assert len([r for r in caplog.records if "no CUDA graph" in r.message]) == 1

    def full(body: Any) -> Any:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        walk(prefilled(Graphed(*pair, SlotCache.of(pair[0], 6, 40), record=full), 2), 2, 1)


@pytest.mark.parametrize("kind", [name for name in MADE if name not in ("qwen3_moe", "mixtral", "gpt_oss")])
def test_a_step_asks_nothing_of_the_device(kind: str) -> None:
    """What stands in a graph may not wait for a number: on the meta device there are none, and asking is an error.
    Experts are not among them: their grouped product is there for bfloat16 alone."""
    model = made(kind).to("meta")
    with torch.device("meta"):
        inputs = torch.zeros(4, dtype=torch.long), *(torch.ones(4, dtype=torch.int32) for _ in range(2))
        with hooked(model):
            steps = Steps(model, Voices({}), SlotCache.of(model, 5, 40))
            assert steps.decode(*inputs, [None] * 4, 40).shape == (4, 50)
    with pytest.raises(RuntimeError, match="meta"):
        int(inputs[1].max())


def test_sizes_waste_little() -> None:
    assert SIZES[0] == 1
    assert SIZES[-1] == 512
    assert list(SIZES) == sorted(set(SIZES))
    assert all(low * 2 >= high for low, high in zip(SIZES, SIZES[1:], strict=False))


def test_off_cuda_the_plain_steps_are_taken(pair: tuple[Any, Voices]) -> None:
    steps = steps_on(*pair, 3, 16)
    assert type(steps) is Steps
    assert steps.cache.slots == 3


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
def test_a_graph_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_FIRST", 0)
    model, tokenizer = running()
    model = model.cuda()
    voices = Voices({None: Stops(tokenizer, frozenset({2}))})
    torch.set_default_device("cuda")
    try:
        with hooked(model):
            steps = steps_on(model, voices, 5, 40, decoding_on("cuda"))
            assert isinstance(steps, Graphed)
            found = walk(prefilled(steps, 3), 3, 6)
            assert list(steps._static) == [4]
            right = walk(prefilled(Steps(model, voices, SlotCache.of(model, 5, 40)), 3), 3, 6)
        for one, other in zip(found, right, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    finally:
        torch.set_default_device(None)
