import torch

from deltakit.generate.continuous.slots import SlotCache
from support.running import running


def test_sizes_are_those_of_the_model() -> None:
    model, _ = running()
    cache = SlotCache.of(model, 3, 20)
    assert [tuple(k.shape) for k in cache.keys] == [(3, 2, 20, 12)] * 2
    assert (cache.slots, cache.positions) == (3, 20)
    assert cache.lengths.dtype == torch.int32


def test_positions_are_written_row_by_row_and_in_spans() -> None:
    cache = SlotCache(2, 4, 2, 6, 3, torch.float32, "cpu")
    key, value = torch.randn(2, 2, 1, 3), torch.randn(2, 2, 1, 3)
    cache.write(1, key, value, torch.tensor([3, 0]), torch.tensor([5, 2]))
    assert torch.equal(cache.keys[1][3, :, 5], key[0, :, 0])
    assert torch.equal(cache.values[1][0, :, 2], value[1, :, 0])
    assert int((cache.keys[1] != 0).sum()) == key.numel()
    assert not cache.keys[0].any()
    span = torch.randn(2, 3, 3)
    cache.write_span(0, span, -span, 2, 1)
    assert torch.equal(cache.keys[0][2, :, 1:4], span)
    assert torch.equal(cache.values[0][2, :, 1:4], -span)


def test_a_copied_span_is_a_copy() -> None:
    cache = SlotCache(2, 3, 1, 5, 2, torch.float32, "cpu")
    for layer in (0, 1):
        cache.write_span(layer, torch.randn(1, 5, 2), torch.randn(1, 5, 2), 0, 0)
    held = cache.span(0, 1, 4)
    cache.put(2, 0, held)
    before = [k[0].clone() for k in cache.keys]
    for layer in (0, 1):
        cache.keys[layer][0].zero_()
        assert torch.equal(cache.keys[layer][2, :, :3], before[layer][:, 1:4])
        assert not cache.keys[layer][1].any()
