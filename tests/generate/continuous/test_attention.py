"""Attention over slots against softmax written out. Run: pytest tests/generate/continuous/test_attention.py"""

from __future__ import annotations

import math

import pytest
import torch

from deltakit.generate.continuous.attention import attend, attend_prompt
from deltakit.generate.continuous.slots import SlotCache

EXTRAS = [{}, {"window": 3}, {"softcap": 2.0}, {"sinks": torch.tensor([0.5, -1.0, 2.0, 0.0])}]


def cache() -> SlotCache:
    made = SlotCache(2, 5, 2, 9, 4, torch.float32, "cpu")
    draw = torch.Generator().manual_seed(0)
    for held in (*made.keys, *made.values):
        held.copy_(torch.randn(held.shape, generator=draw) * 2)
    return made


def by_hand(query: torch.Tensor, cache: SlotCache, slot: int, length: int, head: int, **extra: object) -> list[float]:
    """The output of one head (of four, over two key heads) whose token is the last of `length`."""
    window, softcap, sinks = (extra.get(name) for name in ("window", "softcap", "sinks"))
    start = max(0, length - window) if isinstance(window, int) else 0
    keys, values = (held[1][slot, head // 2, start:length].double() for held in (cache.keys, cache.values))
    scores = [0.3 * float(k @ query.double()) for k in keys]
    if isinstance(softcap, float):
        scores = [softcap * math.tanh(s / softcap) for s in scores]
    weights = [math.exp(s) for s in scores]
    total = sum(weights) + (math.exp(float(sinks[head])) if isinstance(sinks, torch.Tensor) else 0.0)
    found: list[float] = (sum(w * v for w, v in zip(weights, values, strict=True)) / total).tolist()
    return found


@pytest.mark.parametrize("extra", EXTRAS, ids=["plain", "window", "softcap", "sinks"])
def test_one_token_a_row(extra: dict[str, object]) -> None:
    held, query = cache(), torch.randn(3, 4, 1, 4, generator=torch.Generator().manual_seed(1))
    slots, lengths = torch.tensor([4, 0, 2], dtype=torch.int32), torch.tensor([1, 9, 5], dtype=torch.int32)
    found = attend(query, held, 1, slots, lengths, 0.3, **extra)  # type: ignore[arg-type]
    assert found.shape == (3, 1, 4, 4)
    for row in range(3):
        for head in range(4):
            want = by_hand(query[row, head, 0], held, int(slots[row]), int(lengths[row]), head, **extra)
            assert found[row, 0, head].tolist() == pytest.approx(want, abs=1e-5)
    known = attend(query, held, 1, slots, lengths, 0.3, width=9, **extra)  # type: ignore[arg-type]
    assert torch.equal(found, known)


@pytest.mark.parametrize("extra", EXTRAS, ids=["plain", "window", "softcap", "sinks"])
@pytest.mark.parametrize("start", [0, 4])
def test_a_piece_of_a_prompt(start: int, extra: dict[str, object]) -> None:
    held, query = cache(), torch.randn(4, 5, 4, generator=torch.Generator().manual_seed(1))
    found = attend_prompt(query, held, 1, 3, start, 0.3, **extra)  # type: ignore[arg-type]
    assert found.shape == (5, 4, 4)
    for token in range(5):
        for head in range(4):
            want = by_hand(query[head, token], held, 3, start + token + 1, head, **extra)
            assert found[token, head].tolist() == pytest.approx(want, abs=1e-5)


def test_what_stands_behind_a_row_does_not_matter() -> None:
    held, query = cache(), torch.randn(1, 4, 1, 4)
    slots, lengths = torch.tensor([1], dtype=torch.int32), torch.tensor([4], dtype=torch.int32)
    before = attend(query, held, 0, slots, lengths, 0.3, width=9)
    held.keys[0][1, :, 4:] = 1e30
    held.values[0][1, :, 4:] = -1e30
    assert torch.equal(attend(query, held, 0, slots, lengths, 0.3, width=9), before)


def test_half_precision_comes_back_as_it_came() -> None:
    made = SlotCache(1, 1, 1, 4, 2, torch.bfloat16, "cpu")
    query, one = torch.randn(1, 2, 1, 2, dtype=torch.bfloat16), torch.tensor([0], dtype=torch.int32)
    assert attend(query, made, 0, one, one + 3, 0.3).dtype == torch.bfloat16
