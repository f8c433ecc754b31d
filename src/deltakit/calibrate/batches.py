"""Batches of token ids from a text: a plain text file, a JSONL file, or a neutral text of our own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.calibrate.text import Text
from deltakit.errors import InputError

__all__ = ["Batches", "encode_text"]

_CHUNK = 16  # pieces of text tokenised at once


@dataclass(frozen=True)
class Batches:
    """`ids`: int64 (samples, length), handed out `size` samples at a time, the last batch perhaps smaller."""

    ids: NDArray[np.int64]
    size: int

    def __len__(self) -> int:
        return -(-len(self.ids) // self.size)

    def __getitem__(self, i: int) -> NDArray[np.int64]:
        return self.ids[i * self.size : (i + 1) * self.size]

    @property
    def length(self) -> int:
        """Tokens of a sample."""
        return int(self.ids.shape[1])

    @property
    def tokens(self) -> int:
        return int(self.ids.size)

    @property
    def largest(self) -> int:
        """The largest token id."""
        return int(self.ids.max())


def encode_text(text: Text, tokenizer: Any, *, samples: int, length: int, batch: int) -> Batches:
    """The first `samples` stretches of `length` tokens of a text, its documents joined by the tokenizer's end of text.

    A shorter text gives fewer samples; one that fills not even one gives one shorter sample. InputError for a text of
    less than two tokens.
    """
    wanted = samples * length
    found = list(islice(_tokens(text, tokenizer), wanted))
    if len(found) < 2:
        raise InputError(f"{text.name} gives {len(found)} tokens", remedy="name a file with more text")
    length = min(length, len(found))
    count = len(found) // length
    return Batches(np.array(found[: count * length], np.int64).reshape(count, length), batch)


def _tokens(text: Text, tokenizer: Any) -> Iterator[int]:
    """All token ids in order; pieces of text are tokenised a few at a time."""
    end = tokenizer.eos_token_id
    pieces = text.pieces()
    first = True
    while chunk := list(islice(pieces, _CHUNK)):
        found = tokenizer([piece for piece, _ in chunk], add_special_tokens=False, verbose=False)["input_ids"]
        for ids, (_, begins) in zip(found, chunk, strict=True):
            if begins and not first and end is not None:
                yield end
            first = False
            yield from ids
