"""Heads that are the embedding: one model tied, another not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deltakit.merge.sources.source import Source, View
from deltakit.merge.tokens.tables import embedding_of, per_token
from deltakit.tensors import TensorMap

__all__ = ["Heads", "settle_heads"]

_SAMPLES = 64


@dataclass(frozen=True)
class Heads:
    """The models with the same heads. `tied` is what `tie_word_embeddings` must say of the result, None where the
    models agree and nothing was done."""

    sources: Mapping[str, Source]
    tied: bool | None = None
    notes: tuple[str, ...] = ()


def settle_heads(sources: Mapping[str, Source]) -> Heads:
    """Give every model the heads that any of them has, where they differ.

    The head of a tied model (`tie_word_embeddings`, or unsaid and stored without one) is its embedding. Where all are
    tied, a head that only some store is left out. A model that says it is untied and has no head keeps lacking it.
    """
    heads = sorted({n for s in sources.values() for n in _heads(s.tensors)})
    tied = {label: _tied(s, heads) for label, s in sources.items()}
    lacking = [label for label, s in sources.items() if any(n not in s.tensors.specs for n in heads)]
    if not heads or (not lacking and len(set(tied.values())) == 1):
        return Heads(sources)
    if all(tied.values()):
        bare = {label: s.view(lambda t: _without(t, heads)) for label, s in sources.items()}
        return Heads(bare, True, (f"{', '.join(heads)}: the embedding in all models, not stored",))
    given = {label: s.view(lambda t: _with(t, heads)) if tied[label] else s for label, s in sources.items()}
    notes = [f"{label}: {', '.join(heads)} is its embedding" for label in sources if tied[label]]
    return Heads(given, False, (*notes, "the result's head is its own: tie_word_embeddings: false"))


def _heads(tensors: TensorMap) -> list[str]:
    """Matrices of the embedding's shape outside the layers."""
    name = embedding_of(tensors)
    if name is None:
        return []
    shape = tensors.specs[name].shape
    return [n for n, s in tensors.specs.items() if n != name and s.shape == shape and per_token(n, s)]


def _tied(source: Source, heads: list[str]) -> bool:
    said = (source.sidecar.config or {}).get("tie_word_embeddings")
    name = embedding_of(source.tensors)
    stored = [n for n in heads if n in source.tensors.specs]
    if said is False or name is None:
        return False
    if not stored:
        return True
    # Stored twice and unequal is untied, whatever the configuration says: so transformers reads it since version 5.
    return said is True and all(_alike(source.tensors, name, n) for n in stored)


def _alike(tensors: TensorMap, first: str, second: str) -> bool:
    """Whether two tables hold the same bytes, by rows spread over them."""
    rows = tensors.specs[first].rows
    places = sorted({i * (rows - 1) // (_SAMPLES - 1) for i in range(_SAMPLES)}) if rows else []
    return tensors.specs[first] == tensors.specs[second] and all(
        tensors.buffer(first, i, i + 1) == tensors.buffer(second, i, i + 1) for i in places
    )


def _without(tensors: TensorMap, heads: list[str]) -> TensorMap:
    return View(tensors, {n: n for n in tensors.specs if n not in heads})


def _with(tensors: TensorMap, heads: list[str]) -> TensorMap:
    name = embedding_of(tensors)
    assert name is not None
    return View(tensors, {**{n: n for n in tensors.specs}, **dict.fromkeys(heads, name)})
