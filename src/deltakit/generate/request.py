"""What is asked of the decoder, and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deltakit.errors import RecipeError

__all__ = ["Completion", "Request"]


@dataclass(frozen=True)
class Request:
    """One prompt. `temperature` 0 is greedy; else a token is drawn from the row's own stream, keyed by `seed`.

    `stop` strings end the answer and are cut from it. `top_p` and `top_k` (0: off) narrow what is drawn from. `tenant`
    names who answers, over a resident base; None is the model itself.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    tenant: str | None = None

    def __post_init__(self) -> None:
        if not self.prompt:
            raise RecipeError("an empty prompt has no next token", remedy="begin with the tokenizer's BOS token")
        if self.max_new_tokens < 1:
            raise RecipeError(f"max_new_tokens is {self.max_new_tokens}", remedy="at least 1")
        if "" in self.stop:
            raise RecipeError("an empty stop string would end every answer at once", remedy="leave it out")
        if not (0.0 <= self.temperature < math.inf and 0.0 < self.top_p <= 1.0 and self.top_k >= 0):
            raise RecipeError(
                f"temperature {self.temperature}, top_p {self.top_p}, top_k {self.top_k}",
                remedy="temperature >= 0 and finite, top_p in (0, 1], top_k >= 0",
            )

    @property
    def length(self) -> int:
        """Positions of the key-value cache that the request may fill."""
        return len(self.prompt) + self.max_new_tokens


@dataclass(frozen=True)
class Completion:
    """`text` without the stop string; `tokens` as generated, without EOS; `reason` is "eos", "stop" or "length"."""

    text: str
    tokens: tuple[int, ...]
    reason: str
