"""Where an answer ends: EOS ids, stop strings found in the tail of the text, the length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.strict_json import parse_json

__all__ = ["Stops", "cut", "eos_ids"]


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the earliest stop string, and whether there was one."""
    found = [at for at in (text.find(s) for s in stop) if at >= 0]
    return (text[: min(found)], True) if found else (text, False)


def eos_ids(tokenizer: Any, sidecar: Sidecar) -> frozenset[int]:
    """End-of-sequence ids of the tokenizer, generation_config.json and config.json together."""
    found = {tokenizer.eos_token_id}
    for name in ("config.json", "generation_config.json"):
        value = parse_json(sidecar.files.get(name, b"{}"), name).get("eos_token_id")
        found.update(value if isinstance(value, list) else [value])
    return frozenset(int(i) for i in found if i is not None)


class Stops:
    """Watches answers. A stop string that is itself one special token is watched as an id."""

    def __init__(self, tokenizer: Any, eos: frozenset[int]) -> None:
        self._tokenizer, self._eos = tokenizer, eos
        self._special = {str(t): int(tokenizer.convert_tokens_to_ids(t)) for t in tokenizer.all_special_tokens}
        self._watches: dict[tuple[str, ...], _Watch] = {}

    def reason(self, tokens: Sequence[int], stop: Sequence[str], limit: int) -> str:
        """ "eos", "stop", "length" or "" (goes on), after a token was appended to an answer."""
        if tokens[-1] in self._eos:
            return "eos"
        if stop and self._stopped(tokens, tuple(stop)):
            return "stop"
        return "length" if len(tokens) >= limit else ""

    def reasons(
        self, answers: Sequence[Sequence[int]], stops: Sequence[Sequence[str]], limits: Sequence[int]
    ) -> list[str]:
        """`reason` of every row."""
        return [self.reason(*row) for row in zip(answers, stops, limits, strict=True)]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Texts without special tokens, spaces as they are; by the fast tokenizer's own batch call if it has one."""
        if self._tokenizer.is_fast:
            found: list[str] = self._tokenizer.backend_tokenizer.decode_batch([list(r) for r in rows])
            return found
        plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return [self._tokenizer.decode(list(r), **plain) for r in rows]

    def _stopped(self, tokens: Sequence[int], stop: tuple[str, ...]) -> bool:
        """Only a token that can complete a stop string is looked at; of the answer only as many last tokens are decoded
        as a stop string can reach, and a hit is confirmed on the whole."""
        watch = self._watches.get(stop)
        if watch is None:
            ids = frozenset(self._special[s] for s in stop if s in self._special)
            watch = self._watches[stop] = _Watch(ids, _reach(stop), frozenset(s[-1] for s in stop))
        last = tokens[-1]
        if last in watch.ids:
            return True
        if last not in watch.completing:
            twice = self.decode([[last, last]])[0]  # a first token may lose its space
            watch.completing[last] = "\ufffd" in twice or any(end in twice for end in watch.ends)
        if not watch.completing[last]:
            return False
        tail = self.decode([tokens[-watch.reach :]])[0]
        near = ("\ufffd" in tail and len(tokens) > watch.reach) or cut(tail, stop)[1]  # it may begin inside a character
        return near and cut(self.decode([tokens])[0], stop)[1]


@dataclass(frozen=True)
class _Watch:
    """For one set of stop strings: those that are tokens, how many tokens one may touch, their last characters, and
    which tokens have been seen to hold such a character or a part of one."""

    ids: frozenset[int]
    reach: int
    ends: frozenset[str]
    completing: dict[int, bool] = field(default_factory=dict)


def _reach(stop: Sequence[str]) -> int:
    """Tokens that may touch the longest stop string: one a byte (byte fallback), and some that decode to nothing."""
    return max(len(s.encode()) for s in stop) + 4
