"""What evaluation and synthesis need of anything that generates: our engine, transformers' own, vLLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from deltakit.generate.request import Completion, Request

__all__ = ["Backend", "Done", "Pair", "Scored"]

Pair: TypeAlias = tuple[Sequence[int], Sequence[int]]
Scored: TypeAlias = tuple[float, bool]
Done: TypeAlias = Callable[[int, Any], None]


class Backend(Protocol):
    """Requests in, completions out, in the same order; each is handed to `done(index, found)` as soon as it is known,
    so that a caller may keep it and a killed run goes on behind it."""

    @property
    def context(self) -> int:
        """Positions that the model was made for (0: unknown)."""
        ...

    @property
    def eos(self) -> frozenset[int]:
        """The ids that end an answer of the model itself."""
        ...

    def tokenizer_of(self, tenant: str | None = None) -> Any:
        """The tokenizer that a tenant's prompts are encoded with; None is the model itself."""
        ...

    def generate(self, requests: Sequence[Request], done: Done = ...) -> list[Completion]:
        """Completions; InputError before anything runs where a request does not fit the context."""
        ...

    def score(self, pairs: Sequence[Pair], done: Done = ..., tenants: Sequence[str | None] = ...) -> list[Scored]:
        """(log-likelihood, is greedy) per (context, continuation) pair of token ids."""
        ...
