"""Models of one body that carry different heads: encoders tuned for tasks, language models within models that see.

Only the body, the tensors that the base and all models have in one shape, is merged; a recipe says whose heads stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property

from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.experts import Layout
from deltakit.delta.expression import Delta, Entries, Entry
from deltakit.errors import MismatchError, RecipeError
from deltakit.registry import did_you_mean
from deltakit.tensors import TensorMap, TensorSpec, cast

__all__ = ["OFFER", "Bearer", "Headed", "Heads", "body_of", "plan_heads"]

OFFER = "where models of one body have different heads, set heads: to `base`, a model's name, or `drop`"
# Tables of tokens: what has as many rows as one of these may grow with the vocabulary, and is no task head for that.
_TOKENS = ("*embed_tokens.weight", "*word_embeddings.weight", "*wte.weight", "*shared.weight", "*tok_embeddings.weight")


@dataclass(frozen=True)
class Bearer:
    """A model with its own names: `names` maps them to the base's where they differ (all of them are in it)."""

    label: str
    tensors: TensorMap
    names: Mapping[str, str]
    sidecar: Sidecar
    fingerprint: str = ""
    reads: tuple[Checkpoint, ...] = ()
    layout: Layout | None = None  # of its packed experts, where they are merged apart

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Specs under the base's names."""
        return {new: self.tensors.specs[old] for old, new in self.names.items()}


@dataclass(frozen=True)
class Heads:
    """The body, in the base's names, and whose heads the result has: `bearer` (None: the base's), or nobody's."""

    body: frozenset[str]
    bearer: Bearer | None
    dropped: bool
    lines: tuple[str, ...]

    @property
    def own(self) -> bool:
        """The result has the base's names and shapes."""
        return self.bearer is None and not self.dropped

    def known(self, name: str) -> str:
        """The base's name of a tensor of the result."""
        return self.bearer.names[name] if self.bearer else name

    def keeps(self, name: str) -> bool:
        """Whether a tensor of the result is a head that stays as it is."""
        return self.known(name) not in self.body

    def only_body(self, delta: Delta, base: TensorMap) -> Delta:
        """A delta over the base that leaves the base's heads as they are, and has no others."""

        def make(name: str) -> Entry:
            if name in self.body:
                return delta.entries[name]
            return Entry(base.specs[name], base.specs[name].rows)

        specs = {n: delta.specs[n] if n in self.body else s for n, s in base.specs.items()}
        return replace(delta, entries=Entries(specs, make), missing=())

    def result(self, merged: TensorMap, dtype: str | None = None) -> TensorMap:
        """The merged body with the heads that stay, in the names of the model that bears them."""
        if self.own:
            return merged
        if self.bearer is None:
            return Headed(merged, merged, {n: n for n in merged.specs if n in self.body}, self.body)
        kept = self.bearer.tensors
        return Headed(merged, cast(kept, dtype) if dtype else kept, self.bearer.names, self.body)

    def files(self, sidecar: Sidecar) -> Sidecar:
        """The files beside the result: the configuration of the model whose heads stay; without heads none is named."""
        if self.bearer is not None and "config.json" in self.bearer.sidecar.files:
            return sidecar.with_files({"config.json": self.bearer.sidecar.files["config.json"]})
        return sidecar.without("architectures") if self.dropped else sidecar


@dataclass(frozen=True)
class Headed:
    """A merged body and the heads of one model as one map; `names` maps the result's names to the base's."""

    merged: TensorMap
    kept: TensorMap
    names: Mapping[str, str]
    body: frozenset[str]

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Sorted by the result's names."""
        merged, kept = self.merged.specs, self.kept.specs
        return {n: merged[self.names[n]] if self.names[n] in self.body else kept[n] for n in sorted(self.names)}

    @property
    def order(self) -> tuple[str, ...]:
        """As the model lies on disk whose names these are."""
        return tuple(n for n in getattr(self.kept, "order", self.kept.specs) if n in self.names)

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows of the merged body, or of a head as its model has it."""
        known = self.names[name]
        return self.merged.buffer(known, lo, hi) if known in self.body else self.kept.buffer(name, lo, hi)


def body_of(base: Mapping[str, TensorSpec], models: Sequence[Mapping[str, TensorSpec]]) -> frozenset[str]:
    """The names that the base and all models have in one shape; tables of tokens may differ in rows."""
    return frozenset(n for n, s in base.items() if all(n in m and _fits(s, m[n], base, m) for m in models))


def _fits(
    ours: TensorSpec, theirs: TensorSpec, base: Mapping[str, TensorSpec], model: Mapping[str, TensorSpec]
) -> bool:
    kinds = ours.dtype == theirs.dtype or (ours.is_float and theirs.is_float)
    if not kinds or len(ours.shape) != len(theirs.shape) or ours.shape[1:] != theirs.shape[1:]:
        return False
    return ours.rows == theirs.rows or (ours.rows in _vocabularies(base) and theirs.rows in _vocabularies(model))


def _vocabularies(specs: Mapping[str, TensorSpec]) -> set[int]:
    return {s.rows for n, s in specs.items() if len(s.shape) == 2 and any(fnmatchcase(n, p) for p in _TOKENS)}


def plan_heads(choice: str, base: TensorMap, bearers: Sequence[Bearer], *, named_base: bool = True) -> Heads:
    """The body and the heads that stay: `choice` is "base", "drop" or a model's label. Only specs are looked at.

    RecipeError for a choice that names nothing; MismatchError where the models share no body.
    """
    labels = {b.label: b for b in bearers}
    known = [*(["base"] if named_base else []), "drop", *labels]
    if choice not in known:
        raise RecipeError(f"heads {choice!r} names no model", remedy=did_you_mean(choice, known))
    body = body_of(base.specs, [b.specs for b in bearers])
    if not body:
        raise MismatchError("the models share no tensor of one name and shape", remedy="merge models of one body")
    bearer = labels.get(choice)
    return Heads(body, bearer, choice == "drop", tuple(_lines(choice, base, bearers, body)))


def _lines(choice: str, base: TensorMap, bearers: Sequence[Bearer], body: frozenset[str]) -> Iterator[str]:
    """What happens to every tensor that is not merged."""
    for name, spec in base.specs.items():
        if name not in body:
            yield f"base: {name} {list(spec.shape)} is no part of the body; {'kept' if choice == 'base' else 'dropped'}"
    for bearer in bearers:
        fate = "kept as it is" if bearer.label == choice else "dropped"
        for old, new in bearer.names.items():
            if new not in body:
                shape = list(bearer.tensors.specs[old].shape)
                yield f"{bearer.label}: {old} {shape} is no part of the body; {fate}"
