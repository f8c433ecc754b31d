"""Whether the models that a recipe names differ in nothing but that some tie their head to the embedding."""

from __future__ import annotations

from collections.abc import Iterable

from deltakit.delta.open import open_model
from deltakit.errors import DeltakitError
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.heads import settle_heads
from deltakit.merge.tokens.tables import embedding_of

__all__ = ["ties_differ"]


def ties_differ(texts: Iterable[str]) -> bool:
    """For MODEL strings that name whole models; only headers are read. False where one cannot be opened (whoever needs
    it says so better) or where the embeddings have other numbers of rows, which needs a choice of its own."""
    sources: dict[str, Source] = {}
    try:
        for text in dict.fromkeys(texts):
            model = open_model(text)
            sources[text] = Source(text, text, model.tensors, model.sidecar, "")
    except DeltakitError:
        return False
    names = [embedding_of(s.tensors) for s in sources.values()]
    shapes = {s.tensors.specs[n].shape for s, n in zip(sources.values(), names, strict=True) if n is not None}
    return None not in names and len(shapes) == 1 and settle_heads(sources).tied is not None
