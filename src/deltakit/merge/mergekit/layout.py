"""Which tensors the result has and what each is read from: whole models, or slices of their layers laid end to end.

No architecture is described anywhere: layers are numbers in names, and whatever has none lies before the first layer
if its name speaks of embeddings, else behind the last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.delta.layers import depths_of, layer_of, stack_of
from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.mergekit.setting import Settings

__all__ = ["Cut", "Input", "Names", "Row", "is_before", "sliced", "whole"]

_BEFORE = re.compile(r"(?:^|[._])(?:embed(?!_out)|wte|wpe|tok_emb|pos_emb|project_in)", re.IGNORECASE)
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out)\.weight$")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|word_embeddings|tok_embeddings|wte|embed_in)\.weight$")
_BUFFER = re.compile(r"(?:^|\.)(?:inv_freq|position_ids|masked_bias)$")


@dataclass(frozen=True)
class Input:
    """A model in a slice; `layers` are those it gives, None for all; `settings` are its own."""

    label: str
    settings: Settings
    layers: range | None = None


@dataclass(frozen=True)
class Cut:
    """A slice: its models, the one that is the base (None where it is not among them), and the settings of the slice
    and the module, the narrower first."""

    inputs: tuple[Input, ...]
    base: str | None
    settings: tuple[Settings, ...]

    @property
    def reference(self) -> Input:
        """The model whose names the result has."""
        return next((i for i in self.inputs if i.label == self.base), self.inputs[0])


@dataclass(frozen=True)
class Row:
    """One tensor of the result: its name, the name that each input of its slice reads, and its place `t` in the slice,
    None where it lies in no layer (`before` tells on which side)."""

    name: str
    cut: Cut
    reads: tuple[str, ...]
    t: float | None = None
    before: bool = False
    origin: int | None = None  # the layer of the reference model


@dataclass(frozen=True)
class Names:
    """The tensors' names of one model, and its configuration."""

    names: frozenset[str]
    config: Mapping[str, Any] | None = None

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding. Where the configuration does not say, a missing head says it."""
        config = self.config or {}
        inner = config.get("text_config")
        said = config.get("tie_word_embeddings", inner.get("tie_word_embeddings") if isinstance(inner, dict) else None)
        return bool(said) if said is not None else not any(_HEAD.search(n) for n in self.names)

    def read_as(self, name: str) -> str:
        """The name to read: a tied head is the embedding."""
        if name in self.names or not _HEAD.search(name) or not self.tied:
            return name
        return next((n for n in sorted(self.names) if _EMBEDDING.search(n)), name)


def is_before(name: str) -> bool:
    """Whether a tensor outside the layers belongs to their input side."""
    return bool(_BEFORE.search(name))


def whole(cut: Cut, models: Mapping[str, Names], notes: list[str]) -> list[Row]:
    """All tensors of the reference model; what others have beyond it is left out, which `notes` tell."""
    _check_depths(cut, models)
    names = _names(cut, models, notes)
    depths = depths_of(names)
    return [_whole_row(name, cut, models, depths) for name in names]


def _whole_row(name: str, cut: Cut, models: Mapping[str, Names], depths: Mapping[str, int]) -> Row:
    layer, stack = layer_of(name), stack_of(name)
    t = None if layer is None or stack is None else _place(layer, depths[stack])
    reads = tuple(models[i.label].read_as(name) for i in cut.inputs)
    return Row(name, cut, reads, t, is_before(name), layer)


def _place(layer: int, count: int) -> float:
    """A layer's place among `count`, from 0 to 1."""
    return layer / (count - 1) if count > 1 else 1.0


def _names(cut: Cut, models: Mapping[str, Names], notes: list[str]) -> list[str]:
    """The reference model's, and a head of its own if any model has one."""
    chosen = cut.reference.label
    names = set(models[chosen].names)
    for item in cut.inputs:
        model = models[item.label]
        if not model.tied:
            names |= {n for n in model.names if _HEAD.search(n)}
    lost = {i.label: sorted(models[i.label].names - names) for i in cut.inputs}
    for label, more in lost.items():
        if more:
            notes.append(f"left out: {_some(more)} of {label}, which {chosen} lacks")
    buffers = sorted(n for n in names if _BUFFER.search(n) and any(n not in models[i.label].names for i in cut.inputs))
    if buffers:
        notes.append(f"left out: {_some(buffers)}, which not all models have")
    return sorted(names - set(buffers))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _check_depths(cut: Cut, models: Mapping[str, Names]) -> None:
    depths = {i.label: depths_of(models[i.label].names) for i in cut.inputs}
    if len({tuple(d.items()) for d in depths.values()}) > 1 and len({tuple(d) for d in depths.values()}) == 1:
        raise MismatchError(
            "the models have different numbers of layers",
            remedy="say under slices: which layers of each are merged",
            details=[f"{label}: {', '.join(f'{n} in {s}' for s, n in d.items())}" for label, d in depths.items()],
        )


def sliced(cuts: Sequence[Cut], models: Mapping[str, Names], notes: list[str]) -> list[Row]:
    """The layers of all slices, numbered anew; what lies before them is from the first slice, the rest from the last.

    Raises RecipeError for slices whose sources are unequally long and for models with several stacks of layers, and
    MismatchError for layers that a model does not have; all problems of a kind at once.
    """
    _check_lengths(cuts)
    stacks = {i.label: _stack(i.label, models[i.label]) for c in cuts for i in c.inputs}
    _check_ranges(cuts, models, stacks)
    rows = [r for r in _outside(cuts[0], models, stacks, notes) if r.before]
    offset = 0
    for cut in cuts:
        rows += _layers(cut, models, stacks, offset)
        _beyond(cut, models, stacks, notes)
        offset += len(cut.inputs[0].layers or ())
    return rows + [r for r in _outside(cuts[-1], models, stacks, notes) if not r.before]


def _check_lengths(cuts: Sequence[Cut]) -> None:
    problems = [
        f"slice {k}: {', '.join(f'{i.label} gives {len(i.layers or ())}' for i in cut.inputs)}"
        for k, cut in enumerate(cuts, 1)
        if len({len(i.layers or ()) for i in cut.inputs}) > 1
    ]
    if problems:
        raise RecipeError(
            "the sources of a slice give different numbers of layers", remedy="make them equal", details=problems
        )


def _stack(label: str, model: Names) -> str:
    stacks = list(depths_of(model.names))
    if len(stacks) != 1:
        found = f"several stacks of layers ({', '.join(stacks)})" if stacks else "no layers in its tensors' names"
        raise RecipeError(f"{label} has {found}", remedy="slices need one stack; describe each under modules:")
    return stacks[0]


def _check_ranges(cuts: Sequence[Cut], models: Mapping[str, Names], stacks: Mapping[str, str]) -> None:
    depths = {label: depths_of(models[label].names)[stack] for label, stack in stacks.items()}
    problems = [
        f"slice {k}: {i.label} has {depths[i.label]} layers, not [{i.layers.start}, {i.layers.stop})"
        for k, cut in enumerate(cuts, 1)
        for i in cut.inputs
        if i.layers is not None and i.layers.stop > depths[i.label]
    ]
    if problems:
        raise MismatchError("slices name layers that are not there", remedy="correct layer_range", details=problems)


def _layers(cut: Cut, models: Mapping[str, Names], stacks: Mapping[str, str], offset: int) -> list[Row]:
    """The layers of a slice under their numbers in the result."""
    chosen = cut.reference
    stack, layers = stacks[chosen.label], chosen.layers or range(0)
    rows = []
    for name in sorted(models[chosen.label].names):
        layer = layer_of(name)
        if layer is None or layer not in layers:
            continue
        step, rest = layer - layers.start, name[len(f"{stack}.{layer}") :]
        reads = tuple(f"{stacks[i.label]}.{(i.layers or layers).start + step}{rest}" for i in cut.inputs)
        new = f"{stack}.{offset + step}{rest}"
        rows.append(Row(new, cut, reads, _place(step, len(layers)), origin=layer))
    return rows


def _beyond(cut: Cut, models: Mapping[str, Names], stacks: Mapping[str, str], notes: list[str]) -> None:
    """Tell what the other models have in these layers and the reference lacks."""
    chosen = cut.reference
    known = _parts(chosen, models, stacks)
    for item in cut.inputs:
        lost = sorted(n for part, n in _parts(item, models, stacks).items() if part not in known)
        if lost:
            notes.append(f"left out: {_some(lost)} of {item.label}, which {chosen.label} lacks")


def _parts(item: Input, models: Mapping[str, Names], stacks: Mapping[str, str]) -> dict[tuple[int, str], str]:
    """The tensors of an input's layers by layer within the slice and name within the layer."""
    stack, layers = stacks[item.label], item.layers or range(0)
    found = {}
    for name in models[item.label].names:
        layer = layer_of(name)
        if layer is not None and layer in layers:
            found[layer - layers.start, name[len(f"{stack}.{layer}") :]] = name
    return found


def _outside(cut: Cut, models: Mapping[str, Names], stacks: Mapping[str, str], notes: list[str]) -> list[Row]:
    """Whatever lies in no layer."""
    alone = {i.label: Names(_without_layers(models[i.label].names), models[i.label].config) for i in cut.inputs}
    return [
        Row(name, cut, tuple(alone[i.label].read_as(name) for i in cut.inputs), None, is_before(name))
        for name in _names(cut, alone, notes)
    ]


def _without_layers(names: frozenset[str]) -> frozenset[str]:
    return frozenset(n for n in names if layer_of(n) is None)
