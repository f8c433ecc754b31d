"""A backend that asks its inner one only what is not known yet, and remembers each answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from deltakit.generate.backend import Backend, Done, Pair, Scored
from deltakit.generate.request import Completion, Request
from deltakit.manifest import digest
from deltakit_eval.answers import Answers

__all__ = ["Remembered", "Seat"]


_ASKED = tuple(field.name for field in fields(Request) if field.name != "tenant")


def _ignore(index: int, found: Any) -> None:
    """For a caller that waits for the whole."""


@dataclass(frozen=True)
class Remembered:
    """`keys` by tenant say what its answers depend on besides the request: the model's identity, dtype, device, backend
    and versions. A question asked twice in one call is computed once: equal requests have equal answers."""

    inner: Backend
    answers: Answers
    keys: Mapping[str | None, str]

    @property
    def context(self) -> int:
        """Positions that the model was made for (0: unknown)."""
        return self.inner.context

    @property
    def eos(self) -> frozenset[int]:
        """The ids that end an answer of the model itself."""
        return self.inner.eos

    def tokenizer_of(self, tenant: str | None = None) -> Any:
        """The tokenizer that a tenant's prompts are encoded with."""
        return self.inner.tokenizer_of(tenant)

    def generate(self, requests: Sequence[Request], done: Done = _ignore) -> list[Completion]:
        """As the inner backend's; known ones are told first."""

        def ask(missing: Sequence[int], told: Done) -> None:
            self.inner.generate([requests[i] for i in missing], told)

        keys = [digest(["generate", self.keys[r.tenant], *_fields(r)]) for r in requests]
        return [_completion(v) for v in self._answered(keys, ask, _value, lambda i, v: done(i, _completion(v)))]

    def score(self, pairs: Sequence[Pair], done: Done = _ignore, tenants: Sequence[str | None] = ()) -> list[Scored]:
        """As the inner backend's; known ones are told first."""
        names = list(tenants) or [None] * len(pairs)

        def ask(missing: Sequence[int], told: Done) -> None:
            self.inner.score([pairs[i] for i in missing], told, [names[i] for i in missing])

        keys = [
            digest(["score", self.keys[name], list(pair[0]), list(pair[1])])
            for name, pair in zip(names, pairs, strict=True)
        ]
        return [_scored(v) for v in self._answered(keys, ask, list, lambda i, v: done(i, _scored(v)))]

    def _answered(
        self, keys: Sequence[str], ask: Callable[[Sequence[int], Done], None], value: Callable[[Any], Any], done: Done
    ) -> list[Any]:
        """The values of all keys; those not known are asked for once each, in the order of their first mention."""
        owners: dict[str, list[int]] = {}
        for i, key in enumerate(keys):
            if key in self.answers:
                done(i, self.answers.get(key))
            else:
                owners.setdefault(key, []).append(i)
        missing = [mine[0] for mine in owners.values()]

        def told(place: int, found: Any) -> None:
            key = keys[missing[place]]
            self.answers.put(key, value(found))
            for i in owners[key]:
                done(i, self.answers.get(key))

        if missing:
            ask(missing, told)
        return [self.answers.get(key) for key in keys]


@dataclass(frozen=True)
class Seat:
    """One model's place at a backend: what is asked here is asked of that tenant. Itself a backend of one model."""

    backend: Backend
    tenant: str | None
    eos: frozenset[int]

    @property
    def context(self) -> int:
        """Positions that the model was made for (0: unknown)."""
        return self.backend.context

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of this model."""
        return self.backend.tokenizer_of(self.tenant)

    def tokenizer_of(self, tenant: str | None = None) -> Any:
        """The tokenizer of this model."""
        return self.tokenizer

    def generate(self, requests: Sequence[Request], done: Done = _ignore) -> list[Completion]:
        """Completions of this model."""
        return self.backend.generate([_of(r, self.tenant) for r in requests], done)

    def score(self, pairs: Sequence[Pair], done: Done = _ignore, tenants: Sequence[str | None] = ()) -> list[Scored]:
        """Likelihoods under this model."""
        return self.backend.score(pairs, done, [self.tenant] * len(pairs))


def _of(request: Request, tenant: str | None) -> Request:
    return request if request.tenant == tenant else replace(request, tenant=tenant)


def _fields(request: Request) -> list[Any]:
    """Everything of a request but who is asked: that is in the key of the tenant."""
    held = vars(request)  # not astuple, which copies every token
    return [held[name] for name in _ASKED]


def _value(found: Completion) -> dict[str, Any]:
    return {"text": found.text, "tokens": list(found.tokens), "reason": found.reason}


def _completion(value: Mapping[str, Any]) -> Completion:
    return Completion(value["text"], tuple(value["tokens"]), value["reason"])


def _scored(value: Sequence[Any]) -> Scored:
    return float(value[0]), bool(value[1])
