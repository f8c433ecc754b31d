"""Merging: a method is a composition (each, reduce, post) over lazy deltas, computed while it is read."""

from __future__ import annotations

from deltakit.registry import Registry

__all__ = ["METHODS"]

METHODS = Registry(
    "method",
    {
        "dare_linear": "deltakit.merge.methods:dare_linear",
        "dare_ties": "deltakit.merge.methods:dare_ties",
        "linear": "deltakit.merge.methods:linear",
        "slerp": "deltakit.merge.methods:slerp",
        "task_arithmetic": "deltakit.merge.methods:task_arithmetic",
        "ties": "deltakit.merge.methods:ties",
    },
    group="deltakit.methods",
    spelling="set `{key}:` in the recipe, or give --{option}",
)
