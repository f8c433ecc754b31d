"""Attention of decoding by the Triton kernel, in Triton's interpreter, against attention as it is written down.

Run by test_decode.py in a process of its own: Triton chooses between interpreter and compiler when it is imported.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deltakit.generate.continuous.kernels.decode import decode_attention


def plain(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, table: torch.Tensor, lengths: torch.Tensor,
    scale: float, window: int = 0, softcap: float = 0.0, sinks: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """One row and head at a time, in float64."""
    out = torch.zeros(query.shape, dtype=torch.float64)
    group = query.shape[1] // keys.shape[1]
    for row, n in enumerate(lengths.tolist()):
        places = table[row].reshape(-1).long()
        k, v = (torch.cat([pool[p] for p in places], 1)[:, max(n - window, 0) if window else 0 : n].double()
                for pool in (keys, values))  # fmt: skip
        for head in range(query.shape[1]) if n else ():
            score = k[head // group] @ query[row, head].double() * scale
            score = softcap * torch.tanh(score / softcap) if softcap else score
            drawn = score if sinks is None else torch.cat([score, sinks[head : head + 1].double()])
            out[row, head] = torch.softmax(drawn, 0)[: len(score)] @ v[head // group]
    return out


def pools(
    rows: int, heads: int, group: int, size: int, shape: tuple[int, int], dtype: torch.dtype = torch.float32
) -> Any:
    """Query, keys, values; `shape`: how many pages or slots, and how long each is."""
    torch.manual_seed(0)
    kv = (shape[0], heads // group, shape[1], size)
    return torch.randn(rows, heads, size, dtype=dtype), torch.randn(kv, dtype=dtype), torch.randn(kv, dtype=dtype)


def ints(*numbers: Any) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int32)


def relative(found: torch.Tensor, right: torch.Tensor) -> float:
    return float((found.double() - right).norm() / right.norm())


BORDERS = ints(1, 64, 65, 0, 150)


@pytest.mark.parametrize(("group", "size"), [(1, 128), (4, 80), (8, 12)])
def test_rows_of_every_length_get_attention_over_their_own_slot(group: int, size: int) -> None:
    query, keys, values = pools(5, 2 * group, group, size, (9, 150))
    slots = ints(8, 0, 3, 5, 7)
    found = decode_attention(query, keys, values, slots, BORDERS, scale=size**-0.5, split=64)
    assert relative(found, plain(query, keys, values, slots, BORDERS, size**-0.5)) < 1e-6
    assert not found[3].any(), "a row without positions gets zeros"


def test_half_precision_keeps_its_digits() -> None:
    query, keys, values = pools(5, 8, 4, 64, (5, 150), torch.float16)
    slots = torch.arange(5, dtype=torch.int32)
    found = decode_attention(query, keys, values, slots, BORDERS, scale=0.125, split=64)
    assert found.dtype == torch.float16
    assert relative(found, plain(query, keys, values, slots, BORDERS, 0.125)) < 1e-3


@pytest.mark.parametrize("window", [1, 20, 64])
def test_a_window_and_a_soft_cap_change_what_is_seen(window: int) -> None:
    query, keys, values = pools(5, 4, 2, 16, (5, 150))
    slots = torch.arange(5, dtype=torch.int32)
    given: Any = {"scale": 1.0, "window": window, "softcap": 5.0 if window == 20 else 0.0}
    found = decode_attention(query, keys, values, slots, BORDERS, split=32, **given)
    assert relative(found, plain(query, keys, values, slots, BORDERS, **given)) < 1e-5


@pytest.mark.parametrize("page", [16, 40])
def test_pages_in_any_order_are_one_row(page: int) -> None:
    """A page need not be a multiple of the kernel's block, nor the block of a page."""
    query, keys, values = pools(3, 4, 2, 16, (20, page))
    table = torch.randperm(20)[:12].view(3, 4).int()
    lengths = ints(page * 4, page + 1, 3)
    found = decode_attention(query, keys, values, table, lengths, scale=0.25, split=32)
    assert relative(found, plain(query, keys, values, table, lengths, 0.25)) < 1e-6


def test_splits_change_rounding_only_and_neighbours_nothing() -> None:
    query, keys, values = pools(5, 4, 4, 64, (5, 150))
    slots = torch.arange(5, dtype=torch.int32)
    whole = decode_attention(query, keys, values, slots, BORDERS, scale=0.125)
    for split in (64, 17):
        found = decode_attention(query, keys, values, slots, BORDERS, scale=0.125, split=split)
        assert relative(found, whole.double()) < 1e-6
        alone = decode_attention(query[4:], keys, values, slots[4:], BORDERS[4:], scale=0.125, split=split)
        assert torch.equal(found[4], alone[0])


def test_views_that_are_not_contiguous_are_read_by_their_strides() -> None:
    query, keys, values = pools(2, 4, 2, 16, (3, 50))
    slots, lengths = ints(2, 0), ints(50, 7)
    right = plain(query, keys, values, slots, lengths, 0.25)
    packed = torch.cat([query, query], 1)[:, :4]
    strided = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in (keys, values)]
    assert not packed.is_contiguous()
    assert not strided[0].is_contiguous()
    assert relative(decode_attention(packed, *strided, slots, lengths, scale=0.25), right) < 1e-6


@pytest.mark.parametrize("split", [32, 512])
def test_sinks_draw_weight_and_give_nothing(split: int) -> None:
    query, keys, values = pools(5, 4, 2, 16, (5, 150))
    slots, sinks = torch.arange(5, dtype=torch.int32), torch.tensor([-3.0, 0.0, 2.0, 300.0])
    given: Any = {"scale": 0.25, "sinks": sinks}
    found = decode_attention(query, keys, values, slots, BORDERS, split=split, **given)
    assert relative(found, plain(query, keys, values, slots, BORDERS, **given)) < 1e-6
    assert not found[3].any()


@pytest.mark.parametrize("extra", [{"window": 5, "softcap": 3.0}, {"sinks": torch.linspace(-1, 2, 6)}], ids=str)
def test_it_stands_in_for_attention_over_slots(extra: dict[str, Any]) -> None:
    """Same arguments, same results as the plain form that the engine uses elsewhere."""
    from deltakit.generate.continuous import attention, fused
    from deltakit.generate.continuous.slots import SlotCache

    torch.manual_seed(0)
    cache = SlotCache(2, 3, 2, 40, 16, torch.float32, "cpu")
    for held in (*cache.keys, *cache.values):
        held.normal_()
    given = (torch.randn(2, 6, 1, 16), cache, 1, ints(2, 0), ints(40, 7), 0.3)
    torch.testing.assert_close(fused.attend(*given, **extra), attention.attend(*given, **extra), rtol=1e-5, atol=1e-6)
