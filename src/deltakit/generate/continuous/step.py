"""One forward pass over slots: a decode step of many rows, or packed pieces of prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from deltakit.generate.continuous import fused
from deltakit.generate.continuous.attention import attend
from deltakit.generate.continuous.hook import Decode, Piece, Prompts
from deltakit.generate.continuous.slots import SlotCache
from deltakit.generate.voices import Names, Voices

__all__ = ["Steps", "Wanted", "kernel_for"]

_FEW = 1 << 12  # positions of all requests below which loading or compiling a kernel takes longer than doing without

Wanted = tuple[Piece, int]  # a piece, and the first of its tokens whose logits are wanted (len(tokens): of none)


def kernel_for(model: Any, positions: int) -> Callable[..., torch.Tensor]:
    """The fastest `attend` for this model's device and dtype, where so many positions are to be computed in all."""
    if model.device.type == "cpu" and model.dtype == torch.float32 and positions >= _FEW:
        from deltakit.generate.continuous.kernels.native import attend_native

        return attend_native
    return fused.decoding_on(model.device.type)


@dataclass
class Steps:
    """Runs a model within `hooked`. `attend` is the decode kernel, which may be replaced by a faster one."""

    model: Any
    voices: Voices
    cache: SlotCache
    attend: Callable[..., torch.Tensor] = attend

    @torch.inference_mode()
    def decode(
        self, tokens: torch.Tensor, slots: torch.Tensor, lengths: torch.Tensor, names: Names, width: int
    ) -> torch.Tensor:
        """Logits (rows, vocabulary) after `tokens` (rows,), which stand at the last of `lengths` (rows,) int32
        positions of `slots` (rows,) int32; row i is of tenant names[i], and none is longer than `width`."""
        one = Decode(self.cache, slots, lengths, width, self.attend)
        with self.voices.rows(names):
            return self._run(tokens[:, None], (lengths - 1)[:, None].long(), one, 1)[:, 0]

    @torch.inference_mode()
    def prompts(self, wanted: Sequence[Wanted], tenant: str | None) -> list[torch.Tensor]:
        """Per piece the logits (tokens wanted, vocabulary); all pieces are of one tenant."""
        pieces = [piece for piece, _ in wanted]
        device, flat = self.model.device, [token for piece in pieces for token in piece.tokens]
        places = [place for p in pieces for place in range(p.start, p.start + len(p.tokens))]
        keep: list[int] = []
        counts, at = [], 0
        for piece, first in wanted:
            keep += range(at + first, at + len(piece.tokens))
            counts.append(len(piece.tokens) - first)
            at += len(piece.tokens)
        ids, positions = (torch.tensor([x], device=device) for x in (flat, places))
        kept = torch.tensor(keep or [at - 1], device=device)
        with self.voices.rows([tenant]):
            logits = self._run(ids, positions, Prompts(self.cache, pieces, fused.attend_prompt), kept)[0]
        return list(torch.split(logits[: len(keep)], counts))

    def _run(self, ids: torch.Tensor, positions: torch.Tensor, slot_pass: Any, keep: Any) -> torch.Tensor:
        out = self.model(
            input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=keep, slot_pass=slot_pass
        )
        logits: torch.Tensor = out.logits
        return logits
