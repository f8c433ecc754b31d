"""What plays want, answered by a decoder: texts generated, likelihoods scored, programs run; endings counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deltakit.errors import InputError, UnsafeError
from deltakit.generate import Completion, Request
from deltakit.generate.backend import Backend, Pair
from deltakit.generate.play import Ask, Effect, Run, Weigh
from deltakit.grade.thinking import opened_thought, strip_thinking
from deltakit_eval.asking import Encode, pair_of, request_of

__all__ = ["Answering", "Endings", "Sandbox", "fit"]

Sandbox = Callable[[Sequence[Run]], Sequence[Any]]  # all programs of a round, their outcomes in order


@dataclass
class Endings:
    """How texts ended: `truncated` by the limit of new tokens, `empty` without a word, `unclosed` inside a thought."""

    texts: int = 0
    tokens: int = 0
    truncated: int = 0
    empty: int = 0
    unclosed: int = 0

    def add(self, prompt: str, found: Completion) -> None:
        """Count one text."""
        self.texts += 1
        self.tokens += len(found.tokens)
        self.truncated += found.reason == "length"
        self.empty += not found.text.strip()
        self.unclosed += not strip_thinking(opened_thought(prompt) + found.text).closed

    def shares(self) -> dict[str, float | int]:
        """As a result records it: tokens in all; shares of the texts, 0 where none was generated."""
        n = max(1, self.texts)
        shares = {"truncated": self.truncated / n, "empty": self.empty / n, "unclosed_thoughts": self.unclosed / n}
        return {"generated_tokens": self.tokens, **shares}


def fit(
    lengths: Sequence[tuple[int, int]], context: int, name: Callable[[int], str], *, generating: bool = True
) -> None:
    """InputError that names the first of `lengths` (prompt, and what follows it, in tokens) above the context, and how
    many there are. `context` 0: unknown, all fit. The last token of a continuation that is only scored (`generating`
    False) is not fed. `name(i)` says which task and item."""
    most = context if generating else context + 1
    over = [i for i, (prompt, more) in enumerate(lengths) if context and prompt + more > most]
    if not over:
        return
    prompt, more = lengths[over[0]]
    raise InputError(
        f"{name(over[0])}: a prompt of {prompt} tokens and {more} after it exceed the model's context of {context}"
        + (f" ({len(over)} of {len(lengths)} items do)" if len(over) > 1 else ""),
        remedy=("lower --max-new-tokens, " if generating and prompt < context else "")
        + "take a shorter prompt style or fewer examples, or name a file without these items (--data)",
    )


@dataclass
class Answering:
    """The `answers` of `perform`: of one model, or of several, each item by the tenant that `asks(i)` names and in the
    tokens of the encoder that it gives.

    A prompt that does not fit is an InputError in the first round, before anything runs; later ones, grown by what the
    model wrote, get what room is left, and one without room an empty text, counted as truncated. `name(i)` names item
    i; `known(i)` is called once an item, as soon as its first text is there.
    """

    backend: Backend
    asks: Callable[[int], tuple[Encode, str | None]]
    run: Sandbox | None = None
    name: Callable[[int], str] = "item {}".format
    known: Callable[[int], None] = lambda i: None
    endings: Endings = field(default_factory=Endings)
    _seen: set[int] = field(default_factory=set)
    _rounds: int = 0

    def __call__(self, asked: Sequence[tuple[int, Effect]]) -> list[Any]:
        """Results in the order of `asked`, its pairs of item and effect."""
        out: dict[int, Any] = {}
        for kind, answer in ((Ask, self._ask), (Weigh, self._weigh), (Run, self._run)):
            at = [k for k, (_, effect) in enumerate(asked) if isinstance(effect, kind)]
            if at:
                out.update(zip(at, answer([asked[k] for k in at]), strict=True))
        self._rounds += 1
        return [out[k] for k in range(len(asked))]

    def _ask(self, asked: Sequence[tuple[int, Any]]) -> list[Completion]:
        requests = [request_of(ask, *self.asks(i)) for i, ask in asked]
        if not self._rounds:
            lengths = [(len(r.prompt), r.max_new_tokens) for r in requests]
            fit(lengths, self.backend.context, lambda k: self.name(asked[k][0]))
        fitting = {k: shorter for k, r in enumerate(requests) if (shorter := self._room(r))}

        def done(n: int, found: Completion) -> None:
            item = asked[order[n]][0]
            if item not in self._seen:
                self._seen.add(item)
                self.known(item)

        order = list(fitting)
        texts = dict(zip(order, self.backend.generate(list(fitting.values()), done), strict=True))
        found = [texts.get(k, Completion("", (), "length")) for k in range(len(asked))]
        for (_, ask), completion in zip(asked, found, strict=True):
            self.endings.add(ask.prompt, completion)
        return found

    def _room(self, request: Request) -> Request | None:
        """The request with no more new tokens than the context has room for; None if it has none."""
        if not self.backend.context:
            return request
        room = self.backend.context - len(request.prompt)
        return replace(request, max_new_tokens=min(room, request.max_new_tokens)) if room > 0 else None

    def _weigh(self, asked: Sequence[tuple[int, Any]]) -> Sequence[Any]:
        pairs = [self._cut(pair_of(weigh, self.asks(i)[0])) for i, weigh in asked]
        at = [k for k, (context, _) in enumerate(pairs) if context]
        tenants = [self.asks(asked[k][0])[1] for k in at]
        scores = self.backend.score([pairs[k] for k in at], tenants=tenants) if at else []
        found = dict(zip(at, scores, strict=True))
        return [found.get(k, (float("-inf"), False)) for k in range(len(pairs))]

    def _cut(self, pair: Pair) -> Pair:
        """What the model wrote may take more tokens when it is encoded again than it took to write: what is then above
        the model's context is cut from the pair's head; all of the head: the text is infinitely unlikely."""
        context, more = pair
        over = len(context) + len(more) - self.backend.context if self.backend.context else 0
        return (context[max(0, over) :], more)

    def _run(self, asked: Sequence[tuple[int, Any]]) -> Sequence[Any]:
        if self.run is None:
            raise UnsafeError(
                f"{self.name(asked[0][0])}: its mode runs programs that the model writes, and there is no sandbox here",
                remedy="take a mode without programs, or a command that isolates them",
            )
        return self.run([run for _, run in asked])
