"""Keys and values of rows that decode together: each row has a slot, which another row takes when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["SlotCache"]


class SlotCache:
    """`keys[layer]` and `values[layer]`: (slots, kv heads, positions, head size); `lengths` (slots,) int32: how many
    positions of each slot are filled. What lies behind a slot's length is arbitrary (finite: the memory is zeroed)."""

    def __init__(
        self, layers: int, slots: int, kv_heads: int, positions: int, head_size: int, dtype: torch.dtype, device: Any
    ) -> None:
        shape = (slots, kv_heads, positions, head_size)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.lengths = torch.zeros(slots, dtype=torch.int32, device=device)

    @classmethod
    def of(cls, model: Any, slots: int, positions: int) -> SlotCache:
        """Empty slots for a running model of transformers; sizes are those of its text config."""
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        kv_heads = getattr(config, "num_key_value_heads", None) or heads
        return cls(config.num_hidden_layers, slots, kv_heads, positions, size, model.dtype, model.device)

    @property
    def slots(self) -> int:
        """How many rows there is room for."""
        return len(self.lengths)

    @property
    def positions(self) -> int:
        """How many tokens a slot holds."""
        return self.keys[0].shape[2]

    def write(
        self, layer: int, key: torch.Tensor, value: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """One position a row: key and value (rows, kv heads, 1, head size) to `positions` of `slots` (both (rows,))."""
        self.keys[layer][slots, :, positions] = key[:, :, 0]
        self.values[layer][slots, :, positions] = value[:, :, 0]

    def write_span(self, layer: int, key: torch.Tensor, value: torch.Tensor, slot: int, start: int) -> None:
        """Consecutive positions of one slot: key and value (kv heads, tokens, head size) from `start` on."""
        stop = start + key.shape[1]
        self.keys[layer][slot, :, start:stop] = key
        self.values[layer][slot, :, start:stop] = value

    def span(self, slot: int, start: int, stop: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """A copy of positions [start, stop) of a slot: keys and values (kv heads, tokens, head size) by layer."""
        return [
            (keys[slot, :, start:stop].clone(), values[slot, :, start:stop].clone())
            for keys, values in zip(self.keys, self.values, strict=True)
        ]

    def put(self, slot: int, start: int, span: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Write such a copy to a slot, from position `start` on."""
        for layer, (keys, values) in enumerate(span):
            self.write_span(layer, keys, values, slot, start)
