"""The items on which two models differ, to read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from deltakit.report.paired.item import Item
from deltakit.report.paired.pairing import Pairing

__all__ = ["Flip", "flips", "questions"]


@dataclass(frozen=True)
class Flip:
    """One document: `before` and `after` are the first and the second model's scores, answers and responses theirs.

    `question` is the prompt without what all prompts begin and end with (template, worked examples).
    """

    doc_id: int
    doc_hash: str
    question: str
    target: str
    before: float
    after: float
    answers: tuple[str, str]
    responses: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def change(self) -> float:
        """The second model's score less the first one's."""
        return self.after - self.before


def flips(pairing: Pairing, limit: int | None = None) -> list[Flip]:
    """Items whose scores differ, the largest change first, then by document; at most `limit`."""
    asked = questions([a.prompt for a, _ in pairing.items])
    filter_name = pairing.metric.partition(",")[2]
    before, after = pairing.values
    found = [
        Flip(a.doc_id, key, question, a.target, float(x), float(y), (_answer(a, filter_name), _answer(b, filter_name)),
             (a.responses, b.responses))
        for key, (a, b), question, x, y in zip(pairing.keys, pairing.items, asked, before, after, strict=True)
        if x != y
    ]  # fmt: skip
    return sorted(found, key=lambda flip: (-abs(flip.change), flip.doc_id))[:limit]


def questions(prompts: Sequence[str]) -> list[str]:
    """Prompts without their common beginning and end, cut where words or lines end."""
    if len(set(prompts)) < 2:
        return [prompt.strip() for prompt in prompts]
    start = _boundary(os.path.commonprefix(list(prompts)))
    end = _boundary(os.path.commonprefix([prompt[start:][::-1] for prompt in prompts]))
    return [prompt[start : len(prompt) - end].strip() for prompt in prompts]


def _boundary(shared: str) -> int:
    """How much of a shared text may go: up to its last line break, so that no question loses its first words."""
    return shared.rfind("\n") + 1


def _answer(item: Item, filter_name: str) -> str:
    return item.answers.get(filter_name, "")
