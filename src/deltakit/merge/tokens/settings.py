"""What a vocabulary changes in config.json and generation_config.json: its size, the ids of special tokens, ties."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.assign import Assignment, Known

__all__ = ["generation_of", "settings_of"]

_IDS = ("_token_id", "_token_index", "_token_ids")


def settings_of(
    sources: Mapping[str, Source],
    known: Mapping[str, Known],
    assignment: Assignment,
    *,
    donor: str,
    anchor: str,
    tied: bool | None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Top-level keys of the donor's config.json with their new values, and a line for each id that has no token in the
    result. Ids are the anchor's where it has the key, else the donor's, found again by their tokens."""
    config = sources[donor].sidecar.config
    if config is None:
        return {}, ()
    lost: list[str] = []
    new = {k: _part(v, assignment.rows) if isinstance(v, dict) else v for k, v in config.items()}
    new = _part(new, assignment.rows)
    own = sources[anchor].sidecar.config or {}
    new |= _moved(config, own, known, assignment, donor, anchor, lost)
    if tied is not None:
        new["tie_word_embeddings"] = tied
    return {k: v for k, v in new.items() if k not in config or config[k] != v}, tuple(lost)


def generation_of(
    sources: Mapping[str, Source], known: Mapping[str, Known], assignment: Assignment, *, donor: str, anchor: str
) -> dict[str, Any]:
    """Keys of the donor's generation_config.json with their new values."""
    config, own = _generation(sources[donor]), _generation(sources[anchor])
    new = _moved(config, own, known, assignment, donor, anchor, [])
    return {k: v for k, v in new.items() if config.get(k) != v}


def _generation(source: Source) -> dict[str, Any]:
    found = json.loads(source.sidecar.files.get("generation_config.json", b"{}"))
    return found if isinstance(found, dict) else {}


def _part(config: Mapping[str, Any], rows: int) -> dict[str, Any]:
    return {**config, "vocab_size": rows} if isinstance(config.get("vocab_size"), int) else dict(config)


def _moved(
    config: Mapping[str, Any],
    own: Mapping[str, Any],
    known: Mapping[str, Known],
    assignment: Assignment,
    donor: str,
    anchor: str,
    lost: list[str],
) -> dict[str, Any]:
    """The ids among a configuration's values in the output vocabulary."""
    made: dict[str, Any] = {}
    for key, value in config.items():
        if not key.endswith(_IDS) or value is None and own.get(key) is None:
            continue
        whose, ids = (anchor, own[key]) if own.get(key) is not None else (donor, value)
        many = ids if isinstance(ids, list) else [ids]
        found = [_new(i, known[whose], assignment) for i in many]
        if None in found:
            lost.append(f"config.json: {key} {ids} is no token of the result, and is left as it is")
            continue
        made[key] = found if isinstance(ids, list) else found[0]
    return made


def _new(i: Any, model: Known, assignment: Assignment) -> int | None:
    """The id in the result of a model's id; -1 and the like, which mean no token, stay."""
    if not isinstance(i, int) or isinstance(i, bool) or i < 0:
        return i if isinstance(i, int) else None
    token = model.vocabulary.tokens.get(i)
    return None if token is None else assignment.ids.get(token)
