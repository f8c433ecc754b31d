import torch
from transformers import LlamaConfig, MistralConfig
from transformers.cache_utils import DynamicLayer

from deltakit.generate.cache import GrowingLayer, growing_cache


def states(seed: int, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(3, 2, positions, 4, generator=generator) for _ in range(2))  # type: ignore[return-value]


def test_it_holds_what_transformers_own_layer_holds_through_growth_and_selection() -> None:
    ours, theirs = GrowingLayer(), DynamicLayer()
    for step, positions in enumerate([5, *[1] * 70, 90]):
        given = states(step, positions)
        keys, values = ours.update(*given)
        expected = theirs.update(*given)
        assert torch.equal(keys, expected[0])
        assert torch.equal(values, expected[1])
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1) == theirs.get_mask_sizes(1)
    for layer in (ours, theirs):
        layer.batch_select_indices(torch.tensor([2, 0]))
        layer.update(*(s[:2] for s in states(9, 1)))
        layer.batch_repeat_interleave(2)
        layer.update(*(torch.cat([s, s[:1]]) for s in states(10, 2)))
    assert torch.equal(ours.keys, theirs.keys)
    assert torch.equal(ours.values, theirs.values)


def test_one_token_is_appended_without_a_copy() -> None:
    layer = GrowingLayer()
    layer.update(*states(0, 5))
    before = layer.keys.data_ptr()
    layer.update(*states(1, 1))
    assert layer.keys.data_ptr() == before


def test_only_full_attention_layers_are_replaced() -> None:
    full = growing_cache(LlamaConfig(num_hidden_layers=3))
    assert [type(layer) for layer in full.layers] == [GrowingLayer] * 3
    sliding = growing_cache(MistralConfig(num_hidden_layers=2, sliding_window=8))
    assert GrowingLayer not in [type(layer) for layer in sliding.layers]
