"""The records of a recipe: several files with limits and weights, and a held-out part apart from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.data.records import Record, read_records
from deltakit.errors import InputError, RecipeError
from deltakit.train.order import draw
from deltakit.train.recipe import SftRecipe, Source

__all__ = ["Mixture", "Part", "gather"]


@dataclass(frozen=True)
class Part:
    """The records of one file that are trained on (or held out)."""

    source: Source
    kind: str
    records: tuple[Record, ...]
    digest: str

    def facts(self) -> dict[str, Any]:
        """What the manifest says of the file."""
        return {"file": Path(self.source.path).name, "sha256": self.digest, "kind": self.kind,
                "records": len(self.records), "weight": self.source.weight}  # fmt: skip


@dataclass(frozen=True)
class Mixture:
    """What is trained on and what is held out. `repeated` counts held-out prompts that stand in the training part too
    (only a holdout file can have any)."""

    train: tuple[Part, ...]
    held: tuple[Part, ...]
    repeated: int


def gather(recipe: SftRecipe) -> Mixture:
    """Read every file of the recipe, and split off the held-out records.

    A holdout share is drawn over distinct prompts, all files together, so that one question asked twice never stands
    on both sides. Raises InputError for bad or missing files, RecipeError for a share that leaves either side empty.
    """
    parts = [_read(source) for source in recipe.data]
    if isinstance(recipe.holdout, Source):
        held = _read(recipe.holdout)
        known = {_prompt(r) for part in parts for r in part.records}
        return Mixture(tuple(parts), (held,), sum(_prompt(r) in known for r in held.records))
    if not recipe.holdout:
        return Mixture(tuple(parts), (), 0)
    chosen = _share([r for part in parts for r in part.records], recipe.holdout, recipe.train.seed)
    train = [_only(part, chosen, False) for part in parts]
    held_parts = [_only(part, chosen, True) for part in parts]
    _refuse_empty(train, recipe.holdout)
    return Mixture(tuple(train), tuple(p for p in held_parts if p.records), 0)


def _read(source: Source) -> Part:
    path = Path(source.path)
    reading = read_records(path, source.kind, limit=source.limit)
    if source.limit and len(reading.records) < source.limit:
        raise InputError(
            f"{path}: {len(reading.records)} records, the recipe's limit asks for {source.limit}",
            remedy="lower the limit or leave it out",
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(source, reading.kind, reading.records, digest)


def _prompt(record: Record) -> tuple[str, str]:
    return record.instruction, record.input


def _share(records: Sequence[Record], share: float, seed: int) -> set[tuple[str, str]]:
    """Distinct prompts in drawn order until they cover the share of all records."""
    counts: dict[tuple[str, str], int] = {}
    for record in records:
        counts[_prompt(record)] = counts.get(_prompt(record), 0) + 1
    prompts, want, have = list(counts), max(1, round(share * len(records))), 0
    chosen: set[tuple[str, str]] = set()
    for i in draw(len(prompts), seed, "holdout"):
        if have >= want:
            break
        chosen.add(prompts[i])
        have += counts[prompts[i]]
    return chosen


def _only(part: Part, chosen: set[tuple[str, str]], inside: bool) -> Part:
    records = tuple(r for r in part.records if (_prompt(r) in chosen) == inside)
    return Part(part.source, part.kind, records, part.digest)


def _refuse_empty(train: Sequence[Part], share: float) -> None:
    empty = [p.source.path for p in train if not p.records]
    if empty:
        raise RecipeError(
            f"holdout {share} leaves no training record of {', '.join(empty)}",
            remedy="lower it, or hold out another file",
        )
