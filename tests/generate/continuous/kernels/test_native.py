"""The compiled loop against the plain form. Run: pytest tests/generate/kernels/test_native.py"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deltakit.generate.continuous.attention import attend
from deltakit.generate.continuous.kernels.native import attend_native
from deltakit.generate.continuous.slots import SlotCache

DRAW = torch.Generator().manual_seed(0)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=DRAW)


def cache(slots: int, kv_heads: int, positions: int, size: int, spread: float = 1.0) -> SlotCache:
    made = SlotCache(2, slots, kv_heads, positions, size, torch.float32, "cpu")
    for held in (*made.keys, *made.values):
        held.copy_(random(*held.shape) * spread)
    return made


def numbers(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32)


@pytest.mark.parametrize("extra", [{}, {"window": 5}, {"softcap": 3.0}, {"sinks": random(6)}, {"window": 99}])
@pytest.mark.parametrize(("kv_heads", "size"), [(6, 8), (2, 20), (1, 3)])
def test_it_agrees_with_the_plain_form(kv_heads: int, size: int, extra: dict[str, Any]) -> None:
    held, query = cache(5, kv_heads, 23, size), random(4, 6, 1, size)
    slots, lengths = numbers(4, 1, 0, 2), numbers(1, 23, 6, 17)
    want = attend(query, held, 1, slots, lengths, 0.3, **extra)
    torch.testing.assert_close(attend_native(query, held, 1, slots, lengths, 0.3, **extra), want, rtol=1e-5, atol=1e-6)


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    held, query = cache(2, 2, 40, 16, spread=60.0), random(2, 2, 1, 16) * 60
    slots, lengths = numbers(0, 1), numbers(40, 33)
    want = attend(query, held, 0, slots, lengths, 1.0)
    found = attend_native(query, held, 0, slots, lengths, 1.0)
    assert bool(torch.isfinite(found).all())
    torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-4)


def test_a_query_that_is_a_view_of_something_else() -> None:
    held, query = cache(3, 2, 9, 4), random(3, 5, 8, 4)[:, 4:5].transpose(1, 2)[:, ::2]
    slots, lengths = numbers(0, 1, 2), numbers(9, 4, 5)
    want = attend(query, held, 0, slots, lengths, 0.5)
    torch.testing.assert_close(attend_native(query, held, 0, slots, lengths, 0.5), want, rtol=1e-5, atol=1e-6)


def test_what_is_not_a_number_is_not_hidden() -> None:
    held = cache(3, 1, 8, 4)
    held.values[0][0, 0, 3, 2] = float("nan")
    held.keys[0][1, 0, 3, 2] = float("nan")
    held.keys[0][2, 0, 3] = float("inf")
    found = attend_native(random(3, 1, 1, 4).abs(), held, 0, numbers(0, 1, 2), numbers(8, 8, 8), 0.5)
    assert bool(found[0, 0, 0, 2].isnan())
    assert bool(found[1:].isnan().all())


def test_a_rows_bits_do_not_depend_on_its_neighbours() -> None:
    held, query = cache(4, 2, 30, 12), random(4, 4, 1, 12)
    slots, lengths = numbers(3, 0, 1, 2), numbers(7, 30, 11, 20)
    together = attend_native(query, held, 0, slots, lengths, 0.4)
    more = [x.repeat(8, *[1] * (x.dim() - 1)) for x in (query, slots, lengths)]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(attend_native(more[0], held, 0, more[1], more[2], 0.4), together.repeat(8, 1, 1, 1))
    finally:
        torch.set_num_threads(before)
    for row in range(4):
        own = slice(row, row + 1)
        assert torch.equal(attend_native(query[own], held, 0, slots[own], lengths[own], 0.4), together[own])
