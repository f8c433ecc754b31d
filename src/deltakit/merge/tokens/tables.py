"""Which tensors hold a row for every token: embeddings and heads, found by their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deltakit.delta.layers import layer_of
from deltakit.errors import MismatchError
from deltakit.merge.sources.source import Source
from deltakit.tensors import TensorMap, TensorSpec

__all__ = ["embedding_of", "per_token", "tables_of", "vocabulary_rows"]

_EMBEDDING = re.compile(r"(?:embed_tokens|wte|word_embeddings?|tok_embeddings|token_embed\w*|embed_in|shared)\.weight$")
_OTHER = re.compile(r"norm|ln_|wpe|position|token_type|rotary|vision|visual|patch|segment", re.I)


def embedding_of(tensors: TensorMap) -> str | None:
    """The name of the input embedding: a matrix outside the layers that is called so; the largest of several."""
    found = [n for n, s in tensors.specs.items() if _EMBEDDING.search(n) and per_token(n, s) and len(s.shape) == 2]
    return max(found, key=lambda n: tensors.specs[n].rows, default=None)


def vocabulary_rows(source: Source) -> int:
    """How many rows a model has for tokens, its padding included. MismatchError where no embedding is found."""
    name = embedding_of(source.tensors)
    if name is not None:
        return source.tensors.specs[name].rows
    size = _configured(source.sidecar.config or {})
    if size and any(per_token(n, s) and s.rows == size for n, s in source.tensors.specs.items()):
        return size
    raise MismatchError(
        f"{source.label}: no tensor looks like an embedding of tokens",
        remedy="leave tokenizer: out, or give the model a config.json with its vocab_size",
    )


def tables_of(sources: Mapping[str, Source]) -> Mapping[str, int]:
    """The tensors with a row for every token, sorted, each with its columns; the same in all models.

    A tensor is one if it lies outside the layers, is no norm or position table, and has as many rows as the vocabulary
    in every model that has it. MismatchError for an embedding or a head of which that is true in some models only, or
    that is as wide in one as it is not in another.
    """
    rows = {label: vocabulary_rows(s) for label, s in sources.items()}
    found: dict[str, int] = {}
    problems: list[str] = []
    for name in sorted({n for s in sources.values() for n in s.tensors.specs}):
        specs = {label: s.tensors.specs[name] for label, s in sources.items() if name in s.tensors.specs}
        fit = [label for label, spec in specs.items() if per_token(name, spec) and spec.rows == rows[label]]
        if len(fit) == len(specs):
            found[name] = next(iter(specs.values())).row_size
            lacking = [label for label in sources if label not in specs]
            problems += [f"{label}: lacks {name}" for label in lacking]
            if len({s.shape[1:] for s in specs.values()}) > 1:
                problems += [f"{label}: {name} is {list(s.shape)}" for label, s in specs.items()]
        elif fit and len({s.shape for s in specs.values()}) > 1:
            problems += [
                f"{label}: {name} has {s.rows} rows, its vocabulary {rows[label]}"
                for label, s in specs.items()
                if label not in fit
            ]
    if problems:
        raise MismatchError(
            f"the models' embeddings do not fit together: {len(problems)} problem(s)",
            remedy="merge only models of one architecture and width",
            details=problems,
        )
    return found


def per_token(name: str, spec: TensorSpec) -> bool:
    """Whether a name and a shape could be those of a table: floats outside the layers, no norm, no position."""
    return bool(spec.shape) and spec.is_float and layer_of(name) is None and not _OTHER.search(name)


def _configured(config: Mapping[str, object]) -> int | None:
    """vocab_size at the top, or where a model of several towers has it."""
    for part in (config, *(v for v in config.values() if isinstance(v, dict))):
        size = part.get("vocab_size")
        if isinstance(size, int):
            return size
    return None
