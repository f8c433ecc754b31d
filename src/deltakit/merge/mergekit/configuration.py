"""What changes in config.json when layers are laid anew: their number, and every list with an entry for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltakit.delta.layers import layer_of
from deltakit.merge.mergekit.layout import Names, Row

__all__ = ["configuration"]

_COUNTS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_NESTED = ("text_config", "llm_config", "language_config")


def configuration(donor: Names, rows: Sequence[Row], *, sliced: bool, notes: list[str]) -> dict[str, Any]:
    """The top-level keys of the donor's config.json that change, with their new values."""
    config = donor.config or {}
    changes = _layers(config, _origins(rows), notes) if sliced else {}
    heads = any(name != read for row in rows for name, read in _heads(row, donor))
    if heads and config.get("tie_word_embeddings"):
        changes["tie_word_embeddings"] = False
        notes.append(
            "tie_word_embeddings becomes false: the result has a head of its own, which mergekit's config hides"
        )
    return changes


def _heads(row: Row, donor: Names) -> list[tuple[str, str]]:
    """A head whose donor reads its embedding instead."""
    return [(row.name, donor.read_as(row.name))] if row.t is None and not row.before else []


def _origins(rows: Sequence[Row]) -> list[int]:
    """For each layer of the result, the layer that its reference model gives."""
    found: dict[int, int] = {}
    for row in rows:
        number = layer_of(row.name)
        if row.origin is not None and number is not None:
            found[number] = row.origin
    return [found[i] for i in sorted(found)]


def _layers(config: Mapping[str, Any], origins: Sequence[int], notes: list[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for key in _COUNTS:
        if isinstance(config.get(key), int):
            changes |= {key: len(origins), **_lists(config, config[key], origins, notes)}
            break
    for key in _NESTED:
        inner = config.get(key)
        if isinstance(inner, Mapping) and (new := _layers(inner, origins, notes)):
            changes[key] = {**inner, **new}
    return changes


def _lists(config: Mapping[str, Any], count: int, origins: Sequence[int], notes: list[str]) -> dict[str, Any]:
    """Lists such as layer_types; mergekit leaves them as long as they were."""
    lists = {k: v for k, v in config.items() if isinstance(v, list) and len(v) == count and count > 1}
    found = {k: v for k, v in lists.items() if k != "architectures" and "_token_id" not in k}
    changes = {k: [v[o] for o in origins] for k, v in sorted(found.items()) if all(o < count for o in origins)}
    changes = {k: v for k, v in changes.items() if v != config[k]}
    if changes:
        notes.append(f"{', '.join(changes)}: follows the layers, which it does not in mergekit")
    return changes
