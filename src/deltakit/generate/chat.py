"""A conversation with a model, or with several tenants over one base in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deltakit.delta.open import open_model, parse_expression
from deltakit.errors import InputError
from deltakit.generate.company import base_of
from deltakit.generate.engine import Engine
from deltakit.generate.host import Host
from deltakit.generate.prompting import Turn, check_template, conversation
from deltakit.generate.request import Completion, Request
from deltakit.tenants import ResidentBase

__all__ = ["Chat", "open_chat"]


@dataclass
class Chat:
    """`turns` are kept while tenants change; `speakers` are names and the engine's names for them."""

    engine: Engine
    speakers: Mapping[str, str | None]
    speaker: str
    template: str = "auto"
    max_new_tokens: int = 256
    drawn: Mapping[str, Any] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    dropped: int = 0

    def say(self, question: str) -> Completion:
        """The answer to the next question, which joins the turns. Where the context does not hold all turns the oldest
        go: `dropped` says how many went now. InputError where the question alone does not fit."""
        tenant = self.speakers[self.speaker]
        ids, stop = self._encoded(tenant, question)
        before = len(self.turns)
        while self.turns and self.engine.context and len(ids) + self.max_new_tokens > self.engine.context:
            del self.turns[0]
            ids, stop = self._encoded(tenant, question)
        self.dropped = before - len(self.turns)
        asked = Request(tuple(ids), self.max_new_tokens, stop, tenant=tenant, **self._drawn())
        (found,) = self.engine.generate([asked])
        self.turns.append((question, found.text))
        return found

    def reset(self) -> None:
        """Forget the conversation."""
        self.turns.clear()

    def switch(self, name: str) -> None:
        """Another speaker goes on with the conversation; InputError for an unknown one."""
        if name not in self.speakers:
            raise InputError(f"no tenant {name!r}", remedy=f"there are: {', '.join(self.speakers)}")
        self.speaker = name

    def _encoded(self, tenant: str | None, question: str) -> tuple[list[int], tuple[str, ...]]:
        tokenizer = self.engine.tokenizer_of(tenant)
        automatic = "chat" if tokenizer.chat_template else "none"
        template = automatic if self.template == "auto" else self.template
        return conversation(tokenizer, template, self.turns, question)

    def _drawn(self) -> dict[str, Any]:
        """Every turn draws from a stream of its own."""
        return {**self.drawn, "seed": int(self.drawn.get("seed", 0)) + len(self.turns)}


def open_chat(
    model: str,
    tenants: Mapping[str, str],
    *,
    template: str = "auto",
    max_new_tokens: int = 256,
    device: str = "auto",
    dtype: str = "auto",
    hold: str = "fast",
    **drawn: Any,
) -> Chat:
    """A conversation with `model`; with `tenants` (names to MODEL strings over its base) all stay in memory over one
    base, the model under the name "model". `template` "auto" is the tokenizer's own where it has one, else none."""
    if template != "auto":
        check_template(template)
    host = Host(device=device, dtype=dtype)
    if not tenants:
        return Chat(host.serve(open_model(model)), {"model": None}, "model", template, max_new_tokens, drawn)
    base = base_of(model)
    resident = ResidentBase.open(base, device=host.device, dtype=host.dtype_of(open_model(base)), hold=hold)
    speakers: dict[str, str | None] = {"model": None}
    for name, text in {**({"model": model} if parse_expression(model)[1] else {}), **tenants}.items():
        resident.attach(name, text)
        speakers[name] = name
    return Chat(Engine.over(resident), speakers, "model", template, max_new_tokens, drawn)
