"""transformers' attention interface as the way into a model: its own code runs, attention and cache are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch

from deltakit.errors import MismatchError
from deltakit.generate.continuous.attention import attend, attend_prompt
from deltakit.generate.continuous.slots import SlotCache

__all__ = ["NAME", "Decode", "Pass", "Piece", "Prompts", "hooked"]

NAME = "deltakit_slots"  # not "flash": transformers looks for that word


class Pass(Protocol):
    """What one forward pass does in every attention layer: store keys and values, and attend."""

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, **extra: Any
    ) -> torch.Tensor:
        """query (batch, heads, tokens, head size), key and value (batch, kv heads, tokens, head size) to (batch,
        tokens, heads, head size); `extra` as in `attend`: window, softcap, sinks, each only where the model has it."""
        ...


@dataclass(frozen=True)
class Decode:
    """A decode step, input (rows, 1): row i goes on in slots[i] at position lengths[i] - 1; both (rows,) int32.
    `width`: the longest length, as the host knows it. `attend` is the kernel."""

    cache: SlotCache
    slots: torch.Tensor
    lengths: torch.Tensor
    width: int = 0
    attend: Callable[..., torch.Tensor] = attend

    @cached_property
    def _at(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the new keys go, as torch indexes: made once for all layers."""
        return self.slots.long(), self.lengths.long() - 1

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, **extra: Any
    ) -> torch.Tensor:
        """One layer's attention; see `Pass`."""
        self.cache.write(layer, key, value, *self._at)
        return self.attend(query, self.cache, layer, self.slots, self.lengths, scale, width=self.width, **extra)


class Piece(NamedTuple):
    """Tokens that stand in `slot` from position `start` on."""

    slot: int
    start: int
    tokens: Sequence[int]


@dataclass(frozen=True)
class Prompts:
    """A packed pass over prompts, input (1, tokens): the pieces one behind the other."""

    cache: SlotCache
    pieces: Sequence[Piece]
    attend: Callable[..., torch.Tensor] = attend_prompt

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, **extra: Any
    ) -> torch.Tensor:
        """One layer's attention; see `Pass`."""
        out, at = [], 0
        for slot, start, tokens in self.pieces:
            own = slice(at, at + len(tokens))
            at = own.stop
            self.cache.write_span(layer, key[0, :, own], value[0, :, own], slot, start)
            out.append(self.attend(query[0, :, own], self.cache, layer, slot, start, scale, **extra))
        return torch.cat(out)[None]


@contextmanager
def hooked(model: Any) -> Iterator[None]:
    """Within the block the model's attention is ours: every call needs `slot_pass=` a `Pass`, and no mask."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attention)
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    slot_pass: Pass | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **unknown: Any,
) -> tuple[torch.Tensor, None]:
    if slot_pass is None or attention_mask is not None:
        raise MismatchError(
            f"{type(module).__name__} does not pass on what attention over slots needs",
            remedy="use the engine's static form for this architecture",
        )
    extra: dict[str, Any] = {}
    if sliding_window:
        extra["window"] = sliding_window
    if softcap:
        extra["softcap"] = softcap
    if s_aux is not None:
        extra["sinks"] = s_aux
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return slot_pass(module.layer_idx, query, key, value, scale, **extra), None
