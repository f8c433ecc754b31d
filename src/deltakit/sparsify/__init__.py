"""Sparsifying deltas: primitives that drop elements, one file each, and pipelines of them."""

from __future__ import annotations

from deltakit.registry import Registry

__all__ = ["TRANSFORMS"]

TRANSFORMS = Registry(
    "primitive",
    {
        "breadcrumbs": "deltakit.sparsify.breadcrumbs:Breadcrumbs",
        "drop": "deltakit.sparsify.drop:Drop",
        "lines": "deltakit.sparsify.lines:Lines",
        "magprune": "deltakit.sparsify.magprune:MagPrune",
        "topk": "deltakit.sparsify.topk:TopK",
        "trim": "deltakit.sparsify.trim:Trim",
    },
    group="deltakit.primitives",
)
