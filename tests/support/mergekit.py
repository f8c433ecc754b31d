"""Names of small models, and resolved configs, for tests of mergekit's configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltakit.merge.mergekit.layout import Names
from deltakit.merge.mergekit.resolution import resolve
from deltakit.merge.mergekit.stage import parse_config
from deltakit.merge.plan.blueprint import Blueprint

LAYER = ("input_layernorm", "mlp.down_proj", "mlp.up_proj", "self_attn.q_proj")


def llama(layers: int = 4, *, head: bool = True, prefix: str = "", **config: Any) -> Names:
    """The names of a Llama with fewer tensors."""
    names = {f"{prefix}model.embed_tokens.weight", f"{prefix}model.norm.weight"}
    names |= {f"{prefix}model.layers.{i}.{part}.weight" for i in range(layers) for part in LAYER}
    names |= {f"{prefix}lm_head.weight"} if head else set()
    return Names(frozenset(names), {"num_hidden_layers": layers, **config})


def resolved(text: str, models: Mapping[str, Names] | None = None, dialect: str = "paper") -> Blueprint:
    """The blueprint of a config of one document; unnamed models are Llamas of four layers."""
    (stage,) = parse_config(text)
    found = {label: (models or {}).get(label, llama()) for label in stage.references}
    texts = {label: r.text for label, r in stage.references.items()}
    return resolve(stage, found, texts, dialect=dialect)


def weights(blueprint: Blueprint, model: str) -> dict[str, float]:
    """A model's weight in every tensor that it is in, by a short name."""
    return {
        short(name): use.weight
        for name, piece in blueprint.pieces.items()
        for use in piece.uses
        if use.read.model == model
    }


def short(name: str) -> str:
    """layers.0.mlp.up_proj for model.layers.0.mlp.up_proj.weight."""
    return name.removesuffix(".weight").removeprefix("model.")
