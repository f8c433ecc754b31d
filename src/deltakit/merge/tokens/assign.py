"""Which tokens the result has, and which row each of them gets in each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.tokens.choice import FromToken, TokenChoice, TokenizerChoice, Zero
from deltakit.merge.tokens.read import Vocabulary
from deltakit.registry import did_you_mean

__all__ = ["AVERAGE", "MEAN", "ZERO", "Assignment", "Known", "assign"]

Rows = NDArray[np.int64]

# What a row is where it is no model's: zeros, the mean of the models that have the token, the mean of the model's own.
ZERO, MEAN, AVERAGE = -1, -2, -3


@dataclass(frozen=True)
class Known:
    """A model's vocabulary, and how many rows its embedding has."""

    vocabulary: Vocabulary
    rows: int


@dataclass(frozen=True)
class Assignment:
    """`ids` is the output vocabulary, `rows` the rows of its tables. For each output row: `own[label]` is the model's
    own row or -1; a model without one, or any where `forced`, takes row `pick_row` of model number `pick` (in the order
    of `labels`), or one of ZERO, MEAN, AVERAGE."""

    labels: tuple[str, ...]
    ids: Mapping[str, int]
    rows: int
    own: Mapping[str, Rows]
    pick: Rows
    pick_row: Rows
    forced: NDArray[np.bool_]
    named: Mapping[int, str]  # output rows whose source the recipe sets


def assign(known: Mapping[str, Known], choice: TokenizerChoice, *, anchor: str, base: str | None) -> Assignment:
    """Settle output ids, rows and their sources.

    `anchor` is the model whose ids the result keeps; `base` the one whose rows stand in for missing ones. A row that a
    model lacks is the base's, else the only model's that has it, else the mean of those that have it (as mergekit
    does), else, where no model has it, the mean of the model's own rows (as MergeLM does for "[PAD]"). Padding is
    kept: the result has no fewer rows than the anchor, with `union` than any model.

    Raises RecipeError for a token or a model that is not there.
    """
    ids = _ids(known, choice, anchor)
    rows = _rows(known, choice, anchor, max(ids.values(), default=-1) + 1)
    labels = tuple(known)
    own = {label: _own(known[label], ids, rows) for label in labels}
    pick, pick_row = _default(labels, own, base, rows)
    forced = np.zeros(rows, bool)
    named: dict[int, str] = {}
    problems: list[str] = []
    for token, wanted in (choice.tokens or {}).items():
        i = ids[token]
        forced[i] = wanted.force
        if wanted.source is None:
            if not wanted.force:
                problems.append(f"tokens: {token!r}: give a source, or force: true")
            continue
        try:
            pick[i], pick_row[i], named[i] = _source(known, token, wanted)
        except RecipeError as wrong:
            problems.append(wrong.message + (f"; {wrong.remedy}" if wrong.remedy else ""))
    if problems:
        raise RecipeError(f"tokenizer: {len(problems)} problem(s)", details=problems, remedy="correct the tokens:")
    return Assignment(labels, ids, rows, own, pick, pick_row, forced, named)


def _ids(known: Mapping[str, Known], choice: TokenizerChoice, anchor: str) -> dict[str, int]:
    """The anchor's ids as they are; what else there is follows behind, in the order of the models and their ids."""
    ids = dict(known[anchor].vocabulary.ids)
    after = known[anchor].vocabulary.size
    others = [t for label in known for t in known[label].vocabulary.ids] if choice.source == "union" else []
    for token in [*others, *(choice.tokens or {})]:
        if token not in ids:
            ids[token] = after
            after += 1
    return ids


def _rows(known: Mapping[str, Known], choice: TokenizerChoice, anchor: str, size: int) -> int:
    kept = max(k.rows for k in known.values()) if choice.source == "union" else known[anchor].rows
    multiple = choice.pad_to_multiple_of or 1
    return -(-max(kept, size) // multiple) * multiple


def _own(model: Known, ids: Mapping[str, int], rows: int) -> Rows:
    """The model's row for each output row, -1 where it has none. Rows that are no token, neither in the result nor in
    the model, are padding or holes, and stay where they are."""
    found = np.full(rows, -1, np.int64)
    taken = np.zeros(max(rows, model.rows, model.vocabulary.size), bool)
    taken[list(model.vocabulary.ids.values())] = True
    taken[list(ids.values())] = True
    free = np.flatnonzero(~taken[: min(rows, model.rows)])
    found[free] = free
    have = [(i, model.vocabulary.ids[t]) for t, i in ids.items() if t in model.vocabulary.ids]
    if have:
        out, own = np.array(have, np.int64).T
        found[out] = np.where(own < model.rows, own, -1)
    return found


def _default(labels: Sequence[str], own: Mapping[str, Rows], base: str | None, rows: int) -> tuple[Rows, Rows]:
    having = np.array([own[label] >= 0 for label in labels])
    count = having.sum(0)
    only = having.argmax(0)
    pick = np.where(count == 1, only, np.where(count == 0, AVERAGE, MEAN)).astype(np.int64)
    if base is not None:
        pick[own[base] >= 0] = labels.index(base)
    stacked = np.array([own[label] for label in labels])
    pick_row = np.where(pick >= 0, stacked[np.maximum(pick, 0), np.arange(rows)], -1)
    return pick, pick_row


def _source(known: Mapping[str, Known], token: str, wanted: TokenChoice) -> tuple[int, int, str]:
    """(model number, row, how it is said) of a token whose source the recipe sets."""
    source = wanted.source
    if isinstance(source, Zero):
        return ZERO, -1, "zero"
    label = source.model if isinstance(source, FromToken) else str(source)
    if label not in known:
        hint = did_you_mean(label, sorted(known))
        raise RecipeError(f"tokens: {token!r}: {label!r} is no model of the merge", remedy=hint)
    wanted_token = source.token or "" if isinstance(source, FromToken) else token
    if isinstance(source, FromToken) and source.token_id is not None:
        row: int | None = source.token_id
    else:
        row = known[label].vocabulary.ids.get(wanted_token)
    if row is None or row >= known[label].rows:
        what = repr(wanted_token) if row is None else f"id {row}"
        raise RecipeError(f"tokens: {token!r}: {label} has no row for {what}")
    said = f"{label}:{known[label].vocabulary.tokens.get(row, row)}" if isinstance(source, FromToken) else label
    return list(known).index(label), row, said


def check_known(known: Mapping[str, Known]) -> tuple[str, ...]:
    """What is odd about the vocabularies, a line each. MismatchError for a model that has more than half of its tokens
    beyond its rows: then the tokenizer is another model's."""
    notes, problems = [], []
    for label, model in known.items():
        beyond = [t for t, i in model.vocabulary.ids.items() if i >= model.rows]
        if 2 * len(beyond) > len(model.vocabulary.ids):
            problems.append(f"{label}: {len(beyond)} of {len(model.vocabulary.ids)} tokens have no row")
        elif beyond:
            shown = ", ".join(map(repr, beyond[:5])) + (", ..." if len(beyond) > 5 else "")
            notes.append(f"{label}: {len(beyond)} tokens have no row in its embedding and count as lacking: {shown}")
        notes += [f"{label}: {line}; both get that row" for line in model.vocabulary.shared[:5]]
    if problems:
        raise MismatchError("a tokenizer does not fit its model", details=problems, remedy="put the right files there")
    return tuple(notes)
