"""Key-value cache that grows in place: transformers' own concatenates all of it at every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

__all__ = ["GrowingLayer", "growing_cache"]

_STEP = 64


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values (rows, heads, positions, head size) as views of a buffer with room for further positions."""

    keys: torch.Tensor
    values: torch.Tensor
    _room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Append positions; all keys and values so far come back as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        old = self.get_seq_length()
        new = old + key_states.shape[-2]
        if self._room is None or self._room[0].shape[-2] < new:
            self._room = (
                self._grown(key_states, self.keys, old, new),
                self._grown(value_states, self.values, old, new),
            )
        for room, states in zip(self._room, (key_states, value_states), strict=True):
            room[..., old:new, :] = states
        self.keys, self.values = (room[..., :new, :] for room in self._room)
        return self.keys, self.values

    def _grown(self, states: torch.Tensor, held: torch.Tensor, old: int, new: int) -> torch.Tensor:
        rows, heads, _, size = states.shape
        room = states.new_empty(rows, heads, new + _STEP, size)
        if old:
            room[..., :old, :] = held
        return room

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row `repeats` times; the room moves with the next update."""
        super().batch_repeat_interleave(repeats)
        self._room = None

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows only; the room moves with the next update."""
        super().batch_select_indices(indices)
        self._room = None


def growing_cache(config: Any) -> DynamicCache:
    """transformers' cache for this config with its full-attention layers replaced; other kinds stay as they are."""
    cache = DynamicCache(config=config)
    layers: Sequence[Any] = cache.layers
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in layers]
    return cache
