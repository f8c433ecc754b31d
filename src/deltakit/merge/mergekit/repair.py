"""Where mergekit's dialect leaves mergekit 0.1.5 on purpose: what a blueprint would touch of it, a line each."""

from __future__ import annotations

from collections.abc import Mapping

from deltakit.merge.plan.blueprint import Blueprint
from deltakit.tensors import TensorSpec

__all__ = ["repairs"]

Specs = Mapping[str, Mapping[str, TensorSpec]]  # of each model, by label

_RANDOM = ("dare_linear", "dare_ties", "della", "della_linear")
_RANKED = ("della", "della_linear")


def repairs(made: Blueprint, specs: Specs) -> list[str]:
    """The notes of a blueprint in mergekit's dialect; in another there is nothing to leave."""
    if made.dialect != "mergekit":
        return []
    methods = sorted({piece.method for piece in made.pieces.values()})
    shapes = {
        name: specs[use.read.model][use.read.name].shape
        for name, piece in made.pieces.items()
        for use in piece.uses
        if piece.method in _RANKED and use.read.name in specs[use.read.model]
    }
    packed = [n for n, shape in shapes.items() if len(shape) > 2]
    narrow = [n for n, shape in shapes.items() if len(shape) == 2 and shape[1] == 1]
    return [
        *(
            f"{m}: masks are keyed by seed, model and tensor, and are not mergekit's draws"
            for m in methods
            if m in _RANDOM
        ),
        *_told(packed, "elements are ranked along the last dimension; mergekit ranks along the second"),
        *_told(narrow, "rows of one element have the middle probability; mergekit fails there"),
    ]


def _told(names: list[str], what: str) -> list[str]:
    """One line for all tensors."""
    more = f" and {len(names) - 1} more tensor(s)" if len(names) > 1 else ""
    return [f"{min(names)}{more}: {what}"] if names else []
