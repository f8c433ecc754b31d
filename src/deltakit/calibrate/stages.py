"""A model cut where its layers meet: what comes before them, each layer, what comes behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deltakit.runtime.hollow import weights_of
from deltakit.runtime.places import Place, find_places

__all__ = ["Stage", "beside_embedding", "cut", "layers_of"]


@dataclass(frozen=True)
class Stage:
    """One part of a model. `layer` is its number, -1 for what comes before the layers, their count for what comes
    behind. `places` are the checkpoint's tensors that belong to it, `needs` all weights (by their names within the
    model) that a run through it takes: a tied embedding belongs to the first stage and is needed by the last."""

    name: str
    layer: int
    places: Mapping[str, Place]
    needs: Mapping[str, Place]

    @property
    def names(self) -> tuple[str, ...]:
        """The checkpoint's tensors that belong to it, sorted."""
        return tuple(self.places)


def layers_of(model: Any) -> tuple[str, Any]:
    """(name, list) of the model's layers: of the module lists that lie in no other, the one with most parameters;
    those beside the token embedding come first, so that a vision tower is not taken for the model. An empty list where
    there is none; then the model is one part."""
    from torch import nn

    found: list[tuple[bool, int, str, Any]] = []
    beside, outer = beside_embedding(model), ""
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or (outer and name.startswith(outer + ".")):
            continue
        outer = name
        size = sum(p.numel() for p in module.parameters())
        if size:
            found.append((name.startswith(beside), size, name, module))
    best = max(found, key=lambda f: f[:2], default=(False, 0, "", nn.ModuleList()))
    return best[2], best[3]


def beside_embedding(model: Any) -> str:
    """The name of the module that holds the token embedding, with a dot; the whole model where it has none."""
    try:
        embedding = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return ""
    name = next((n for n, m in model.named_modules() if m is embedding), "")
    parent = name.rpartition(".")[0]
    return f"{parent}." if parent else ""


def cut(model: Any, names: frozenset[str], first: frozenset[str]) -> tuple[Stage, ...]:
    """The stages of a model. `names` are the checkpoint's tensors; `first` the weights, by their names within the
    model, that are used before the layers."""
    within, layers = layers_of(model)
    weights = list(weights_of(model))
    outside = [w for w in weights if not within or not w.startswith(within + ".")]
    before = [w for w in outside if w in first or not within]
    stages = [_stage(model, "embeddings", -1, before, before, names)]
    for i in range(len(layers)):
        own = [w for w in weights if w.startswith(f"{within}.{i}.")]
        stages.append(_stage(model, f"{within}.{i}", i, own, own, names))
    behind = [w for w in outside if w not in before]
    stages.append(_stage(model, "head", len(layers), behind, outside, names))
    return tuple(stages)


def _stage(model: Any, name: str, layer: int, own: list[str], needs: list[str], names: frozenset[str]) -> Stage:
    """Tensors that the checkpoint lacks (a tied head) have no place of their own."""
    needed = {n: p for n, p in find_places(model, needs, names).items() if n in names}
    mine = set(own)
    return Stage(name, layer, {n: p for n, p in needed.items() if p.weight in mine}, needed)
