"""Where an answer ends: EOS ids, stop strings found in the tail of the text, the length."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Watches one batch's answers. A stop string that is itself one special token is watched as an id."""

    def __init__(self, tokenizer: Any, eos: frozenset[int]) -> None:
        self._tokenizer, self._eos = tokenizer, eos
        self._special = {str(t): int(tokenizer.convert_tokens_to_ids(t)) for t in tokenizer.all_special_tokens}

    def reasons(
        self, answers: Sequence[Sequence[int]], stops: Sequence[Sequence[str]], limits: Sequence[int]
    ) -> list[str]:
        """Per row "eos", "stop", "length" or "" (goes on), after a token was appended to every answer.

        Only as many last tokens are decoded as a stop string can reach; a hit is confirmed on the whole answer.
        """
        out = [self._by_id(tokens, stop) for tokens, stop in zip(answers, stops, strict=True)]
        open_rows = [row for row, reason in enumerate(out) if not reason and stops[row]]
        tails = self.decode([answers[row][-_reach(stops[row]) :] for row in open_rows])
        for row, tail in zip(open_rows, tails, strict=True):
            inside = "\ufffd" in tail and len(answers[row]) > _reach(stops[row])  # it may begin inside a character
            near = inside or cut(tail, stops[row])[1]
            if near and cut(self.decode([answers[row]])[0], stops[row])[1]:
                out[row] = "stop"
        return [
            reason or ("length" if len(tokens) >= limit else "")
            for reason, tokens, limit in zip(out, answers, limits, strict=True)
        ]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Texts without special tokens, spaces as they are; by the fast tokenizer's own batch call if it has one."""
        if self._tokenizer.is_fast:
            found: list[str] = self._tokenizer.backend_tokenizer.decode_batch([list(r) for r in rows])
            return found
        plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return [self._tokenizer.decode(list(r), **plain) for r in rows]

    def _by_id(self, tokens: Sequence[int], stop: Sequence[str]) -> str:
        if tokens[-1] in self._eos:
            return "eos"
        return "stop" if tokens[-1] in {self._special[s] for s in stop if s in self._special} else ""


def _reach(stop: Sequence[str]) -> int:
    """Tokens that may touch the longest stop string: one a byte (byte fallback), and some that decode to nothing."""
    return max(len(s.encode()) for s in stop) + 4
