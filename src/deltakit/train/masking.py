"""Records as token ids: the prompt is read, only the response is learned (MetaMath's masking, math.md 1.3).

The text is the prompt followed at once by the response; EOS closes it. Prompt and whole text are tokenised apart to
find the border between them. Where a token reaches across the border (the whole text does not begin with the prompt's
ids) the ids of the two pieces are joined instead, which is what a model sees when it answers; those are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import InputError

__all__ = ["IGNORE", "Counts", "Encoded", "encode", "join"]

IGNORE = -100  # the label that the loss leaves out
_CHUNK = 1024  # texts tokenised at once
_SHOWN = 20  # problems listed before "and so many more"


@dataclass(frozen=True)
class Encoded:
    """Many examples in three arrays (a Python list per example would take ten times the memory).

    ids: int32 (tokens,), all examples end to end; ends: int64 (examples + 1,), where each begins and ends;
    borders: int32 (examples,), how many tokens of each are prompt.
    """

    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    borders: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.borders)

    def __getitem__(self, i: int) -> tuple[NDArray[np.int32], int]:
        """Token ids of example i, and the number of them that are prompt."""
        return self.ids[self.ends[i] : self.ends[i + 1]], int(self.borders[i])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example."""
        return np.diff(self.ends)


def join(parts: Sequence[Encoded]) -> Encoded:
    """Several as one, in order."""
    lengths = np.concatenate([p.lengths for p in parts])
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return Encoded(np.concatenate([p.ids for p in parts]), ends, np.concatenate([p.borders for p in parts]))


@dataclass(frozen=True)
class Counts:
    """What became of the records; nothing is dropped or cut without standing here."""

    records: int = 0
    kept: int = 0
    too_long: int = 0  # above max_length: dropped or truncated, as the recipe says
    unanswerable: int = 0  # of these, dropped under `truncate` because the prompt alone fills max_length
    split_borders: int = 0  # a token reached from the prompt into the response
    tokens: int = 0  # of the kept
    learned_tokens: int = 0  # of these, responses and EOS
    unknown_tokens: int = 0  # that the vocabulary has no word for
    longest: int = 0  # before dropping or cutting

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Pieces:
    """One tokenised record."""

    ids: list[int]
    border: int
    split: bool


def encode(
    texts: Sequence[tuple[str, str]], tokenizer: Any, *, max_length: int, too_long: str, where: str = "the data"
) -> tuple[Encoded, Counts]:
    """Token ids of (prompt, response) texts, with what was counted on the way.

    `too_long` is "drop", "truncate" (from the right, as MetaMath does) or "error". Raises InputError for a tokenizer
    without EOS, for responses that give no token, for records that are too long under "error", and when none is left.
    """
    if tokenizer.eos_token_id is None:
        raise InputError("the base's tokenizer has no end-of-text token", remedy="set eos_token in its tokenizer files")
    kept: list[NDArray[np.int32]] = []
    borders: list[int] = []
    counts: dict[str, int] = dict.fromkeys(Counts().as_dict(), 0)
    problems: list[str] = []
    for number, one in enumerate(_pieces(texts, tokenizer), 1):
        counts["records"] += 1
        counts["longest"] = max(counts["longest"], len(one.ids))
        counts["split_borders"] += one.split
        if len(one.ids) - one.border < 2:
            problems.append(f"record {number}: its response gives no token")
            continue
        ids = one.ids
        if len(ids) > max_length:
            counts["too_long"] += 1
            ids = ids[:max_length] if too_long == "truncate" else []
            if too_long == "error":
                problems.append(f"record {number}: {len(one.ids)} tokens, max_length is {max_length}")
            elif len(ids) <= one.border:
                counts["unanswerable"] += bool(ids)
                continue
        kept.append(np.array(ids, np.int32))
        borders.append(one.border)
    _refuse(problems, where)
    if not kept:
        raise InputError(
            f"{where}: all {counts['records']} records are longer than max_length {max_length}"
            if counts["records"]
            else f"{where}: no record",
            remedy="raise tokens.max_length (and tokens.context), or give other data",
        )
    return _store(kept, borders, counts, tokenizer.unk_token_id)


def _refuse(problems: list[str], where: str) -> None:
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise InputError(
            f"{where}: {len(problems)} records cannot be trained on",
            details=problems[:_SHOWN] + more,
            remedy="mend or remove them; for long ones set tokens.too_long to drop or truncate",
        )


def _store(
    kept: list[NDArray[np.int32]], borders: list[int], counts: dict[str, int], unknown: int | None
) -> tuple[Encoded, Counts]:
    ends = np.zeros(len(kept) + 1, np.int64)
    np.cumsum([len(k) for k in kept], out=ends[1:])
    made = Encoded(np.concatenate(kept), ends, np.array(borders, np.int32))
    counts |= {
        "kept": len(made),
        "tokens": int(ends[-1]),
        "learned_tokens": int(ends[-1]) - sum(borders),
        "unknown_tokens": 0 if unknown is None else int((made.ids == unknown).sum()),
    }
    return made, Counts(**counts)


def _pieces(texts: Iterable[tuple[str, str]], tokenizer: Any) -> Iterator[Pieces]:
    """Each text tokenised, in order."""
    rest = iter(texts)
    while chunk := list(islice(rest, _CHUNK)):
        prompts = _tokenise(tokenizer, [p for p, _ in chunk])
        wholes = _tokenise(tokenizer, [p + r for p, r in chunk])
        for (_, response), prompt, whole in zip(chunk, prompts, wholes, strict=True):
            split = whole[: len(prompt)] != prompt
            if split:
                whole = prompt + _tokenise(tokenizer, [response], special=False)[0]
            yield Pieces([*whole, tokenizer.eos_token_id], len(prompt), split)


def _tokenise(tokenizer: Any, texts: list[str], special: bool = True) -> list[list[int]]:
    """Ids without the EOS that some tokenizers append by themselves; BOS stays where the tokenizer sets it."""
    found = tokenizer(texts, add_special_tokens=special, return_attention_mask=False, verbose=False)["input_ids"]
    return [ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids for ids in found]
