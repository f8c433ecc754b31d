"""What evaluation and synthesis need of anything that generates (our engine, transformers' own, vLLM), and what all of
these do alike: refuse what does not fit, and cut an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from deltakit.errors import InputError
from deltakit.generate.request import Completion, Request
from deltakit.generate.stops import Stops, cut

__all__ = ["Backend", "Done", "Pair", "Scored", "alone", "completion", "context_of", "fitting", "scorable"]

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


def completion(tokens: Sequence[int], reason: str, request: Request, stops: Stops) -> Completion:
    """What a request is answered: its tokens without EOS, its text up to the stop string."""
    answer = tuple(tokens[:-1] if reason == "eos" else tokens)
    return Completion(cut(stops.decode([answer])[0], request.stop)[0], answer, reason)


def context_of(config: Any) -> int:
    """Positions that a transformers config says the model was made for; 0 where it does not."""
    return int(getattr(config.get_text_config(), "max_position_embeddings", 0) or 0)


def fitting(lengths: Sequence[int], context: int, what: str) -> None:
    """InputError where one of `lengths` is longer than the context (0: unknown, so nothing is)."""
    over = [n for n in lengths if context and n > context]
    if over:
        raise InputError(
            f"{len(over)} of {len(lengths)} requests do not fit: {what} come to {max(over)} tokens, "
            f"the model's context is {context}",
            remedy="shorten the prompts, lower --max-new-tokens, or raise max_position_embeddings in config.json",
        )


def alone(tenants: Sequence[str | None], backend: str) -> None:
    """InputError where a tenant is named to a backend that serves one model."""
    named = sorted({t for t in tenants if t is not None})
    if named:
        raise InputError(
            f"the {backend} backend serves one model alone, tenants were named: {', '.join(named)}",
            remedy="use --backend deltakit, or name one MODEL",
        )


def scorable(pairs: Sequence[Pair]) -> None:
    """InputError for a pair with an empty side."""
    if not all(context and continuation for context, continuation in pairs):
        raise InputError("an empty context or continuation cannot be scored", remedy="begin the context with BOS")
